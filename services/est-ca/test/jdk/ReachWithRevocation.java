import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertPathBuilder;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.X509CertSelector;
import java.util.EnumSet;
import javax.net.ssl.CertPathTrustManagerParameters;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Gets a URL as a JDK client that checks revocation does: `<url> <roots.pem> ocsp|crl`. No fallback to the other. */
class ReachWithRevocation {
  public static void main(String[] args) throws Exception {
    KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
    roots.load(null, null);
    int count = 0;
    try (FileInputStream in = new FileInputStream(args[1])) {
      for (Certificate root : CertificateFactory.getInstance("X.509").generateCertificates(in))
        roots.setCertificateEntry("root-" + count++, root);
    }
    PKIXRevocationChecker checker =
        (PKIXRevocationChecker) CertPathBuilder.getInstance("PKIX").getRevocationChecker();
    EnumSet<PKIXRevocationChecker.Option> options = EnumSet.of(PKIXRevocationChecker.Option.NO_FALLBACK);
    if (args[2].equals("crl")) options.add(PKIXRevocationChecker.Option.PREFER_CRLS);
    checker.setOptions(options);
    PKIXBuilderParameters parameters = new PKIXBuilderParameters(roots, new X509CertSelector());
    parameters.addCertPathChecker(checker);
    TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
    trust.init(new CertPathTrustManagerParameters(parameters));
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    HttpClient client = HttpClient.newBuilder().sslContext(tls).build();
    HttpRequest request = HttpRequest.newBuilder(URI.create(args[0])).build();
    System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
  }
}
