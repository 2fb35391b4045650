import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** Verifies a chain as a TLS peer does: anchors, what lies between, leaf, `client` or `server`; PEM files. */
public class Verify {
  private static Collection<? extends Certificate> read(String path) throws Exception {
    try (InputStream in = new FileInputStream(path)) {
      return CertificateFactory.getInstance("X.509").generateCertificates(in);
    }
  }

  public static void main(String[] args) throws Exception {
    KeyStore anchors = KeyStore.getInstance(KeyStore.getDefaultType());
    anchors.load(null, null);
    for (Certificate anchor : read(args[0])) anchors.setCertificateEntry("anchor-" + anchors.size(), anchor);
    List<X509Certificate> chain = new ArrayList<>();
    for (String path : List.of(args[2], args[1]))
      for (Certificate certificate : read(path)) chain.add((X509Certificate) certificate);
    TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
    factory.init(anchors);
    X509TrustManager manager = (X509TrustManager) factory.getTrustManagers()[0];
    X509Certificate[] shown = chain.toArray(new X509Certificate[0]);
    try {
      if (args[3].equals("server")) manager.checkServerTrusted(shown, "ECDHE_ECDSA");
      else manager.checkClientTrusted(shown, "EC");
    } catch (Exception refused) {
      System.err.println(refused);
      System.exit(1);
    }
  }
}
