{{/*
The four streams of a site, as JetStream's API takes them (lib/site/streams.c): what MQTT needs, made before its first login,
and what carries stored messages and retained ones between the sites. `eventbus streams apply` makes the same.
*/}}

{{- define "eventbus.streams" -}}
  {{- $site := include "eventbus.site" . | fromJson -}}
  {{- $sources := include "eventbus.sources" $site | fromJsonArray -}}
  {{- $all := list -}}
  {{- range $stream := list (dict "name" "XL_RETAINED") (dict "name" "$MQTT_msgs") (dict "name" "$MQTT_rmsgs") (dict "name" "$MQTT_qos2in") -}}
    {{- $_ := set $stream "retention" "limits" -}}
    {{- $_ := set $stream "storage" $site.streams.storage -}}
    {{- $_ := set $stream "num_replicas" (int64 $site.streams.replicas) -}}
    {{- $_ := set $stream "max_bytes" (int64 $site.streams.maxBytes) -}}
    {{- $_ := set $stream "discard" "old" -}}
    {{- include "eventbus.streams.own" (list $site $stream) -}}
    {{- $mine := list -}}
    {{- range $source := $sources -}}
      {{- if eq $source.into $stream.name -}}{{- $mine = append $mine (include "eventbus.streams.source" $source | fromJson) -}}{{- end -}}
    {{- end -}}
    {{- if $mine -}}{{- $_ := set $stream "sources" $mine -}}{{- end -}}
    {{- $all = append $all $stream -}}
  {{- end -}}
  {{- toRawJson $all -}}
{{- end -}}

{{/* (list SITE STREAM): sets what this stream alone has. */}}
{{- define "eventbus.streams.own" -}}
  {{- $site := index . 0 -}}
  {{- $stream := index . 1 -}}
  {{- if eq $stream.name "XL_RETAINED" -}}
    {{- $_ := set $stream "subjects" (include "eventbus.streams.exported" $site | fromJsonArray) -}}
    {{- $_ := set $stream "max_msgs_per_subject" 1 -}}
  {{- else if eq $stream.name "$MQTT_msgs" -}}
    {{- $_ := set $stream "subjects" (list "$MQTT.msgs.>") -}}
    {{- $_ := set $stream "max_age" (int64 $site.streams.maxAge) -}}
    {{- /* A publish that is repeated within this time counts once: a QoS 2 message whose PUBREL was repeated. */ -}}
    {{- $_ := set $stream "duplicate_window" (min (int64 $site.streams.maxAge) 120000000000) -}}
  {{- else if eq $stream.name "$MQTT_rmsgs" -}}
    {{- $_ := set $stream "subjects" (list "$MQTT.rmsgs.>") -}}
    {{- $_ := set $stream "max_msgs_per_subject" 1 -}}
    {{- /* A marker that clears is deleted from here by the server at once: the copy in XL_RETAINED is what crosses. */ -}}
    {{- $_ := set $stream "republish" (dict "src" "$MQTT.rmsgs.>" "dest" "$XL.r.>") -}}
  {{- else -}}
    {{- $_ := set $stream "subjects" (list "$MQTT.qos2.in.>") -}}
    {{- $_ := set $stream "discard" "new" -}}
    {{- $_ := set $stream "discard_new_per_subject" true -}}
    {{- $_ := set $stream "max_msgs_per_subject" 1 -}}
    {{- $_ := set $stream "first_seq" (include "eventbus.firstSeq" $site.id | int64) -}}
  {{- end -}}
{{- end -}}

{{/*
SITE: subjects of the retained messages that others pull from here. Without any, the server would take the stream's name as
subject, which a client could publish.
*/}}
{{- define "eventbus.streams.exported" -}}
  {{- $subjects := list -}}
  {{- $csc := eq .type "csc" -}}
  {{- range ternary .lists.cscExports .lists.cpcExports $csc -}}{{- $subjects = append $subjects (printf "$XL.r.%s" .) -}}{{- end -}}
  {{- if $csc -}}
    {{- range .lists.cscPrefixedExports -}}{{- $subjects = append $subjects (printf "$XL.r.cpc.*.%s" .) -}}{{- end -}}
  {{- end -}}
  {{- $subjects | default (list "$XL.r") | toJson -}}
{{- end -}}

{{/*
SOURCE: an entry of a stream's `sources`. opt_start_seq: an entry whose position is unknown begins at the oldest message;
without it the server may begin at the time of its own last one, and skip what waited.
*/}}
{{- define "eventbus.streams.source" -}}
  {{- dict "name" .stream "opt_start_seq" 1 "external" (dict "api" .api "deliver" .deliver) "subject_transforms" (list (dict "src" .filter
      "dest" .dest)) | toJson -}}
{{- end -}}

{{/* STREAM: the same as the spec of NACK's resource Stream (jetstream.nats.io/v1beta2), whose words are others. */}}
{{- define "eventbus.streams.spec" -}}
  {{- $spec := dict "name" .name "subjects" .subjects "retention" .retention "storage" .storage "replicas" (int64 .num_replicas) "maxBytes"
      (int64 .max_bytes) "discard" .discard -}}
  {{- /* The streams and what is in them outlive the resource: `helm uninstall` takes nothing away. */ -}}
  {{- $_ := set $spec "preventDelete" true -}}
  {{- with .max_msgs_per_subject -}}{{- $_ := set $spec "maxMsgsPerSubject" (int64 .) -}}{{- end -}}
  {{- with .discard_new_per_subject -}}{{- $_ := set $spec "discardPerSubject" true -}}{{- end -}}
  {{- with .first_seq -}}{{- $_ := set $spec "firstSequence" (int64 .) -}}{{- end -}}
  {{- /* NACK asks pedantically: a window that is longer than the age is refused, so both are written */ -}}
  {{- /* and without an age NACK makes it a year, whatever its definition says: none is written, too */ -}}
  {{- $_ := set $spec "maxAge" (include "eventbus.streams.time" (.max_age | default 0)) -}}
  {{- with .duplicate_window -}}{{- $_ := set $spec "duplicateWindow" (include "eventbus.streams.time" .) -}}{{- end -}}
  {{- with .republish -}}{{- $_ := set $spec "republish" (dict "source" .src "destination" .dest) -}}{{- end -}}
  {{- $sources := list -}}
  {{- range .sources -}}
    {{- $transforms := list -}}
    {{- range .subject_transforms -}}{{- $transforms = append $transforms (dict "source" .src "dest" .dest) -}}{{- end -}}
    {{- $sources = append $sources (dict "name" .name "optStartSeq" (int64 .opt_start_seq) "externalApiPrefix" .external.api
        "externalDeliverPrefix" .external.deliver "subjectTransforms" $transforms) -}}
  {{- end -}}
  {{- /* Silence would keep those that are there: so that the last one goes, the streams that can have any have a list, an empty one, too. */ -}}
  {{- if or $sources (has .name (list "$MQTT_msgs" "$MQTT_rmsgs")) -}}{{- $_ := set $spec "sources" $sources -}}{{- end -}}
  {{- toYaml $spec -}}
{{- end -}}

{{/* Nanoseconds as Go writes a duration. */}}
{{- define "eventbus.streams.time" -}}
  {{- $ns := int64 . -}}
  {{- if eq (mod $ns 1000000000) 0 -}}{{- div $ns 1000000000 -}}s{{- else -}}{{- $ns -}}ns{{- end -}}
{{- end -}}
