// A client in a pod, with jnats: logs in with the pod's projected ServiceAccount token. What it does and reads:
// docs/kubernetes-tokens.md.
import io.nats.client.Connection;
import io.nats.client.ConnectionListener;
import io.nats.client.ErrorListener;
import io.nats.client.Message;
import io.nats.client.Nats;
import io.nats.client.Options;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

public final class Client {
    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final String SUBJECT = setting("SUBJECT", "default.example");
    private static final int COUNT = Integer.parseInt(setting("COUNT", "5"));
    private static Connection nc;

    private static String setting(String name, String otherwise) {
        String v = System.getenv(name);
        return v == null || v.isEmpty() ? otherwise : v;
    }

    /** Called before every connection, also where the library comes back by itself: the kubelet has replaced the file long before. */
    private static char[] token() {
        try {
            return Files.readString(Path.of(setting("TOKEN_FILE", "/var/run/secrets/nats/token"))).trim().toCharArray();
        } catch (IOException e) {
            System.err.println(e);
            return new char[0];
        }
    }

    private static void connect() throws Exception {
        Options.Builder options = new Options.Builder().server(setting("NATS_URL", "nats://127.0.0.1:4222")).tokenSupplier(Client::token)
                .connectionTimeout(PATIENCE).maxReconnects(-1).reconnectWait(Duration.ofMillis(500))
                .reconnectJitter(Duration.ofSeconds(2)) // not all clients at the same moment
                .inboxPrefix(setting("INBOX_PREFIX", "_INBOX"))
                .connectionListener((connection, event) -> {
                    if (event == ConnectionListener.Events.RECONNECTED) {
                        System.out.println("reconnected");
                    }
                })
                .errorListener(new ErrorListener() {
                    @Override
                    public void errorOccurred(Connection connection, String error) {
                        System.out.println("error: " + error);
                    }
                });
        nc = Nats.connect(options.build());
        nc.createDispatcher(message -> {
            if (message.getReplyTo() != null) {
                nc.publish(message.getReplyTo(), message.getData());
            }
        }).subscribe(SUBJECT);
    }

    /** Asks until an answer comes; where the library has given up (two equal refusals), with a new connection. */
    private static boolean ask(int n) throws InterruptedException {
        for (long end = System.nanoTime() + PATIENCE.toNanos(); System.nanoTime() < end; Thread.sleep(200)) {
            try {
                if (nc.getStatus() == Connection.Status.CLOSED) {
                    connect();
                    System.out.println("connected again");
                }
                Message reply = nc.request(SUBJECT, String.valueOf(n).getBytes(StandardCharsets.UTF_8), Duration.ofSeconds(2));
                if (reply != null) {
                    System.out.println("answer " + new String(reply.getData(), StandardCharsets.UTF_8));
                    return true;
                }
            } catch (InterruptedException e) {
                throw e;
            } catch (Exception e) {
                System.out.println("trying again: " + e.getMessage());
            }
        }
        return false;
    }

    public static void main(String[] args) throws Exception {
        try {
            connect();
        } catch (IOException | InterruptedException e) {
            System.out.println("refused: " + e.getMessage());
            System.exit(1);
        }
        System.out.println("connected");
        for (int n = 1; n <= COUNT; n++) {
            if (!ask(n)) {
                System.out.println("no answer to " + n);
                System.exit(1);
            }
            Thread.sleep(1000);
        }
        nc.close();
        System.out.println("done");
        System.exit(0);
    }
}
