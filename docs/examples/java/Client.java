// A client of the event bus with Eclipse Paho for Java. What it does and what it reads: docs/integrator-quickstart.md.
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.Base64;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;
import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.MqttCallback;
import org.eclipse.paho.client.mqttv3.MqttClient;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.client.mqttv3.MqttException;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

public final class Client implements MqttCallback {
    private static final String TOPIC = setting("MQTT_TOPIC", "test/example/java");
    private static final int COUNT = Integer.parseInt(setting("COUNT", "5"));
    private static final boolean CERT = System.getenv("CERT_FILE") != null;
    private static final String RUN = Long.toHexString(System.currentTimeMillis()); // tells this run's messages from another's

    private final Set<String> seen = ConcurrentHashMap.newKeySet();
    private final MqttClient client;
    private final MqttConnectOptions options = new MqttConnectOptions();
    private boolean subscribed;
    private long refreshAt = Long.MAX_VALUE;

    private static String setting(String name, String otherwise) {
        String v = System.getenv(name);
        return v == null || v.isEmpty() ? otherwise : v;
    }

    private static RuntimeException fail(String text) {
        System.out.println(text);
        System.exit(1);
        return new IllegalStateException(text);
    }

    // ---- credentials ----

    /** Puts a fresh access token into the options, and says when the next one should be fetched. */
    private void logIn() throws Exception {
        if (CERT) {
            return;
        }
        String text;
        double life = 300;
        if (System.getenv("TOKEN_FILE") != null) {
            text = Files.readString(Path.of(System.getenv("TOKEN_FILE"))).trim();
        } else {
            String form = "grant_type=client_credentials&scope=mqtt&client_id=" + encoded("CLIENT_ID") + "&client_secret=" + encoded("CLIENT_SECRET");
            HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("TOKEN_URL"))).timeout(Duration.ofSeconds(10))
                    .header("Content-Type", "application/x-www-form-urlencoded").POST(HttpRequest.BodyPublishers.ofString(form)).build();
            HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200) {
                throw new IllegalStateException("the identity provider answers " + answer.statusCode());
            }
            text = member(answer.body(), "\"access_token\"\\s*:\\s*\"([^\"]+)\"");
            life = Double.parseDouble(member(answer.body(), "\"expires_in\"\\s*:\\s*([0-9]+)"));
        }
        options.setUserName("oauthtoken");
        options.setPassword(text.toCharArray());
        // well before the end, and not at the same moment as everybody else
        double wait = Double.parseDouble(setting("REFRESH_S", String.valueOf(life * ThreadLocalRandom.current().nextDouble(0.7, 0.9))));
        refreshAt = System.nanoTime() + (long) (wait * 1e9);
    }

    private static String encoded(String name) {
        return URLEncoder.encode(System.getenv(name), StandardCharsets.UTF_8);
    }

    /** A library for JSON does this better. */
    private static String member(String json, String pattern) {
        Matcher m = Pattern.compile(pattern).matcher(json);
        if (!m.find()) {
            throw new IllegalStateException("no token in the answer");
        }
        return m.group(1);
    }

    private static SSLSocketFactory certificate() throws Exception {
        CertificateFactory x509 = CertificateFactory.getInstance("X.509");
        KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType()), own = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        for (Certificate ca : x509.generateCertificates(file("CA_FILE"))) {
            roots.setCertificateEntry(String.valueOf(roots.size()), ca);
        }
        own.load(null, null);
        own.setKeyEntry("client", key(), new char[0], x509.generateCertificates(file("CERT_FILE")).toArray(new Certificate[0]));
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(roots);
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, new char[0]);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    private static ByteArrayInputStream file(String name) throws Exception {
        return new ByteArrayInputStream(Files.readAllBytes(Path.of(System.getenv(name))));
    }

    /** The key of KEY_FILE: PEM, PKCS #8, not encrypted. */
    private static PrivateKey key() throws Exception {
        String pem = Files.readString(Path.of(System.getenv("KEY_FILE"))).replaceAll("-----[^-]+-----", "");
        PKCS8EncodedKeySpec bytes = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(pem));
        try {
            return KeyFactory.getInstance("EC").generatePrivate(bytes);
        } catch (InvalidKeySpecException e) {
            return KeyFactory.getInstance("RSA").generatePrivate(bytes);
        }
    }

    // ---- what the library tells ----

    @Override
    public void connectionLost(Throwable cause) {
        System.out.println("connection lost: " + cause.getMessage());
        new Thread(this::comeBack).start();
    }

    @Override
    public void messageArrived(String name, MqttMessage message) {
        String[] words = message.toString().split(" ");
        if (words[0].equals(RUN) && seen.add(words[1])) { // QoS 1: a message may come twice
            System.out.println("received " + name + " " + words[1]);
        }
    }

    @Override
    public void deliveryComplete(IMqttDeliveryToken token) {}

    // ---- the connection ----

    private Client() throws Exception {
        String host = setting("MQTT_HOST", "127.0.0.1");
        String url = CERT ? "ssl://" + host + ":" + setting("MQTT_PORT", "8883") : "tcp://" + host + ":" + setting("MQTT_PORT", "1883");
        // a client id of its own, and a session that the server keeps while we are away
        client = new MqttClient(url, setting("MQTT_CLIENT_ID", "example-java"), new MemoryPersistence());
        client.setCallback(this);
        client.setTimeToWait(60000);
        options.setCleanSession(false);
        options.setMqttVersion(MqttConnectOptions.MQTT_VERSION_3_1_1);
        options.setKeepAliveInterval(30);
        options.setAutomaticReconnect(false); // it would come back with the old token
        options.setConnectionTimeout(60);
        if (CERT) {
            options.setSocketFactory(certificate());
        }
    }

    private synchronized void connect() throws Exception {
        logIn();
        boolean resumed = client.connectWithResult(options).getSessionPresent();
        System.out.println("connected, session " + (resumed ? "resumed" : "new"));
        if (resumed && subscribed) {
            return;
        }
        try {
            client.subscribe(TOPIC + "/#", 1);
        } catch (MqttException e) {
            if (e.getReasonCode() == 128) {
                throw fail("subscription refused: " + TOPIC + "/#");
            }
            throw e;
        }
        subscribed = true;
    }

    private void comeBack() {
        for (double wait = 1;; wait = Math.min(wait * 2, 60)) {
            try {
                Thread.sleep((long) (wait * 1000 * Math.random())); // all clients of a server lose it at the same moment
                connect();
                return;
            } catch (Exception e) {
                System.out.println("trying again: " + e.getMessage());
            }
        }
    }

    private synchronized void refresh() throws Exception {
        if (client.isConnected() && System.nanoTime() >= refreshAt) {
            client.disconnect(); // in good order; the session stays
            connect();
            System.out.println("token refreshed");
        }
    }

    /** Publishes and returns when the site has stored it; while the connection is away, it tries again. */
    private void publish(int n) throws Exception {
        for (long end = System.nanoTime() + 60_000_000_000L;; Thread.sleep(200)) {
            try {
                client.publish(TOPIC + "/" + n, (RUN + " " + n).getBytes(StandardCharsets.UTF_8), 1, false);
                return;
            } catch (MqttException e) {
                if (System.nanoTime() > end) {
                    throw fail("message " + n + " was not acknowledged: " + e.getMessage());
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Client it = new Client();
        try {
            it.connect();
        } catch (MqttException e) {
            throw fail("refused: " + e.getMessage());
        }
        for (int n = 1; n <= COUNT; n++) {
            it.refresh();
            it.publish(n);
            Thread.sleep(1000);
        }
        for (int i = 0; i < 600 && it.seen.size() < COUNT; i++) {
            Thread.sleep(100);
        }
        if (it.seen.size() < COUNT) {
            throw fail(COUNT - it.seen.size() + " messages did not come back");
        }
        it.client.disconnect();
        it.client.close();
        System.out.println("done");
        System.exit(0);
    }
}
