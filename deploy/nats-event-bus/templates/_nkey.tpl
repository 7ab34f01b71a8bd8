{{/*
Public keys of users: 56 characters of base32, the last 16 bits a checksum of the others (lib/nkey). The text is quoted
nowhere: somebody may have pasted a secret in its place.
*/}}

{{/* What is wrong with it as the public key of a user, "" for nothing. */}}
{{- define "eventbus.nkey.fault" -}}
  {{- $bad := regexFind "^[A-Z2-7]*" . | len -}}
  {{- $kinds := dict "A" "account" "C" "cluster" "N" "server" "O" "operator" "X" "curve" -}}
  {{- $kind := trunc 1 . -}}
  {{- if and (eq (len .) 58) (hasPrefix "S" .) -}}this is a seed, which is secret: write its public key instead
  {{- else if and (eq (len .) 108) (hasPrefix "P" .) -}}this is a private key, which is secret: write its public key instead
  {{- else if ne (len .) 56 -}}{{ len . }} characters long, a public key has 56
  {{- else if and (lt $bad 56) (regexMatch "^[A-Z2-7]*[a-z]" .) -}}character {{ add1 $bad }} is lower case, keys are upper case
  {{- else if lt $bad 56 -}}character {{ add1 $bad }} is none of A-Z and 2-7
  {{- else if not (include "eventbus.nkey.checks" .) -}}the checksum does not fit: a character is wrong
  {{- else if eq $kind "U" -}}
  {{- else if hasKey $kinds $kind -}}a key of kind {{ index $kinds $kind }} ({{ $kind }}...), where one of kind user (U...) is needed
  {{- else -}}well-formed, but of no known kind of public key
  {{- end -}}
{{- end -}}

{{/* "true" where the checksum fits: CRC-16 (XMODEM, 0x1021) of 33 bytes, its low byte first. Templates have no exclusive
or: a bit is turned by adding or taking away what it stands for. */}}
{{- define "eventbus.nkey.checks" -}}
  {{- $letters := "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" -}}
  {{- $values := dict -}}
  {{- range $i, $letter := splitList "" $letters -}}{{- $_ := set $values $letter $i -}}{{- end -}}
  {{- $crc := 0 -}}
  {{- $rest := 0 -}}{{- /* the last 16 bits */ -}}
  {{- range $i, $letter := splitList "" . -}}
    {{- $five := index $values $letter -}}
    {{- range $j, $weight := list 16 8 4 2 1 -}}
      {{- $bit := mod (div $five $weight) 2 -}}
      {{- if lt (add (mul $i 5) $j) 264 -}}
        {{- $turn := ne (div $crc 32768) $bit -}}
        {{- $crc = mod (mul $crc 2) 65536 -}}
        {{- if $turn -}}
          {{- $crc = add1 $crc -}}
          {{- range $tap := list 32 4096 -}}
            {{- $crc = ternary (sub $crc $tap) (add $crc $tap) (eq (mod (div $crc $tap) 2) 1) -}}
          {{- end -}}
        {{- end -}}
      {{- else -}}
        {{- $rest = add (mul $rest 2) $bit -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if eq $crc (add (div $rest 256) (mul (mod $rest 256) 256)) -}}true{{- end -}}
{{- end -}}
