// A client in a pod, with nats.go: logs in with the pod's projected ServiceAccount token. What it does and reads:
// docs/kubernetes-tokens.md.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const patience = time.Minute

func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// token is called before every connection, also where the library comes back by itself: the kubelet has replaced the file
// long before the token in it ends.
func token() string {
	text, err := os.ReadFile(setting("TOKEN_FILE", "/var/run/secrets/nats/token"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return strings.TrimSpace(string(text))
}

func connect() (*nats.Conn, error) {
	return nats.Connect(setting("NATS_URL", "nats://127.0.0.1:4222"),
		nats.TokenHandler(token),
		nats.CustomInboxPrefix(setting("INBOX_PREFIX", "_INBOX")),
		nats.Timeout(patience),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // two equal refusals need not be the last word
		nats.ReconnectWait(500*time.Millisecond),
		nats.ReconnectJitter(2*time.Second, 2*time.Second), // not all clients at the same moment
		nats.ReconnectHandler(func(*nats.Conn) { fmt.Println("reconnected") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { fmt.Println("error:", err) }))
}

func ask(nc *nats.Conn, subject string, n int) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if reply, err := nc.Request(subject, []byte(strconv.Itoa(n)), 2*time.Second); err == nil {
			fmt.Println("answer", string(reply.Data))
			return true
		}
	}
	return false
}

func main() {
	subject := setting("SUBJECT", "default.example")
	count, _ := strconv.Atoi(setting("COUNT", "5"))
	nc, err := connect()
	if err == nil {
		_, err = nc.Subscribe(subject, func(m *nats.Msg) {
			if m.Reply != "" {
				_ = m.Respond(m.Data)
			}
		})
	}
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
	fmt.Println("connected")
	for n := 1; n <= count; n++ {
		if !ask(nc, subject, n) {
			fmt.Println("no answer to", n)
			os.Exit(1)
		}
		time.Sleep(time.Second)
	}
	nc.Close()
	fmt.Println("done")
}
