// A client of the event bus with Eclipse Paho for Go. What it does and what it reads: docs/integrator-quickstart.md.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

var (
	topic     = setting("MQTT_TOPIC", "test/example/go")
	count     = number(setting("COUNT", "5"))
	run       = strconv.FormatInt(time.Now().UnixNano(), 16) // tells the messages of this run from those of another
	lock      sync.Mutex
	seen      = map[string]bool{}
	refreshAt = time.Now().AddDate(100, 0, 0)
)

func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		fail("not a number: %s", text)
	}
	return n
}

func fail(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}

// token gives a fresh access token, and after which time the next one should be fetched.
func token() (string, time.Duration, error) {
	var body struct {
		Text string  `json:"access_token"`
		Life float64 `json:"expires_in"`
	}
	if path := os.Getenv("TOKEN_FILE"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", 0, err
		}
		body.Text, body.Life = strings.TrimSpace(string(text)), 300
	} else {
		client := http.Client{Timeout: 10 * time.Second}
		answer, err := client.PostForm(os.Getenv("TOKEN_URL"), url.Values{"grant_type": {"client_credentials"}, "scope": {"mqtt"},
			"client_id": {os.Getenv("CLIENT_ID")}, "client_secret": {os.Getenv("CLIENT_SECRET")}})
		if err != nil {
			return "", 0, err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return "", 0, fmt.Errorf("the identity provider answers %s", answer.Status)
		}
		if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
			return "", 0, err
		}
	}
	// well before the end, and not at the same moment as everybody else
	wait := body.Life * (0.7 + 0.2*rand.Float64())
	if fixed := os.Getenv("REFRESH_S"); fixed != "" {
		wait = float64(number(fixed))
	}
	return body.Text, time.Duration(wait * float64(time.Second)), nil
}

// logIn is asked before each connection, also where the library reconnects by itself.
func logIn() (string, string) {
	text, wait, err := token()
	if err != nil {
		fmt.Println("no fresh token:", err)
		text, wait = "", 10*time.Second
	}
	lock.Lock()
	defer lock.Unlock()
	refreshAt = time.Now().Add(wait)
	return "oauthtoken", text
}

func due() bool {
	lock.Lock()
	defer lock.Unlock()
	return time.Now().After(refreshAt)
}

func certificate() *tls.Config {
	pair, err := tls.LoadX509KeyPair(os.Getenv("CERT_FILE"), os.Getenv("KEY_FILE"))
	if err != nil {
		fail("%v", err)
	}
	ca, err := os.ReadFile(os.Getenv("CA_FILE"))
	if err != nil {
		fail("%v", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

func received(_ mqtt.Client, m mqtt.Message) {
	from, n, _ := strings.Cut(string(m.Payload()), " ")
	lock.Lock()
	defer lock.Unlock()
	if from == run && !seen[n] { // QoS 1: a message may come twice
		seen[n] = true
		fmt.Println("received", m.Topic(), n)
	}
}

func back() int {
	lock.Lock()
	defer lock.Unlock()
	return len(seen)
}

// connect logs in and tells whether the server had kept the session.
func connect(client mqtt.Client) bool {
	t := client.Connect().(*mqtt.ConnectToken)
	if t.Wait(); t.Error() != nil {
		fail("refused: %v", t.Error())
	}
	return t.SessionPresent()
}

func main() {
	host, options := setting("MQTT_HOST", "127.0.0.1"), mqtt.NewClientOptions()
	if os.Getenv("CERT_FILE") != "" {
		options.AddBroker("ssl://" + host + ":" + setting("MQTT_PORT", "8883")).SetTLSConfig(certificate())
	} else {
		options.AddBroker("tcp://" + host + ":" + setting("MQTT_PORT", "1883")).SetCredentialsProvider(logIn)
	}
	options.SetProtocolVersion(4).SetKeepAlive(30 * time.Second).SetMaxReconnectInterval(time.Minute).SetOrderMatters(false)
	// a client id of its own, and a session that the server keeps while we are away
	options.SetClientID(setting("MQTT_CLIENT_ID", "example-go")).SetCleanSession(false)
	options.SetDefaultPublishHandler(received)
	options.SetConnectionLostHandler(func(_ mqtt.Client, err error) {
		fmt.Println("connection lost:", err)
		time.Sleep(time.Duration(rand.Float64() * 2 * float64(time.Second))) // all clients of a server lose it at the same moment
	})
	options.SetOnConnectHandler(func(mqtt.Client) { fmt.Println("connected") })
	client := mqtt.NewClient(options)
	connect(client)
	t := client.Subscribe(topic+"/#", 1, received).(*mqtt.SubscribeToken)
	if t.Wait(); t.Error() != nil || t.Result()[topic+"/#"] == 128 {
		fail("subscription refused: %s/#", topic)
	}
	for n := 1; n <= count; n++ {
		if due() && client.IsConnectionOpen() {
			client.Disconnect(250) // in good order; the session stays
			if !connect(client) {
				client.Subscribe(topic+"/#", 1, received).Wait()
			}
			fmt.Println("token refreshed")
		}
		t := client.Publish(fmt.Sprintf("%s/%d", topic, n), 1, false, fmt.Sprintf("%s %d", run, n))
		if !t.WaitTimeout(time.Minute) || t.Error() != nil { // until the site has stored it
			fail("message %d was not acknowledged", n)
		}
		time.Sleep(time.Second)
	}
	for end := time.Now().Add(time.Minute); back() < count; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			fail("%d messages did not come back", count-back())
		}
	}
	client.Disconnect(250)
	fmt.Println("done")
}
