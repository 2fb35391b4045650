import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** MongoDB's protocol over memory, for tests: each document is written atomically. Argument: the port on 127.0.0.1. */
public final class Main {
  /** Of MongoDB 6.0, the oldest that the driver talks to whatever its release. */
  private static final class Version implements MongoVersion {
    @Override
    public List<Integer> getVersionArray() {
      return List.of(6, 0, 0);
    }

    @Override
    public int getWireVersion() {
      return 17;
    }

    @Override
    public String toVersionString() {
      return "6.0.0";
    }
  }

  public static void main(String[] arguments) {
    if (arguments[0].equals("--version")) {
      System.out.println("mongo-java-server");
      return;
    }
    MongoServer server = new MongoServer(new MemoryBackend().version(new Version()));
    server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
  }
}
