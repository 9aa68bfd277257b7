"""Certificates of one development cluster: its own authority, and one certificate that every node shows.

Made with the openssl command. The authority's key is removed once the node's certificate is signed: nothing else is ever to be
signed by it, and whoever trusts `ca.pem` trusts this cluster and no other.
"""

import shutil
import ssl
import subprocess
from pathlib import Path

from mailweir.schemas.errors import KafkaSetupError

NODE_PRINCIPAL = "mailweir-node"  # common name of the node's certificate, and its user name on the controller listener
_DAYS = "3650"  # a cluster lives as long as its folder; an expired certificate would only be a riddle
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
_EXTENSIONS = """\
subjectAltName=DNS:localhost,IP:127.0.0.1
extendedKeyUsage=serverAuth,clientAuth
authorityKeyIdentifier=keyid
subjectKeyIdentifier=hash
"""


class Certificates:
    """The folder with `ca.pem` (for clients) and `node.pem` (for brokers)."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; `ensure` fills it."""
        self.folder = folder
        self.authority = folder / "ca.pem"
        self.node = folder / "node.pem"

    def ensure(self) -> None:
        """Make what is not there yet; node.pem comes last, so that it stands for a finished folder."""
        if self.node.exists():
            return
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._make_authority()
        self._make_node()
        for part in ("ca.key", "ca.srl", "node.key", "node.crt", "node.csr", "extensions"):
            (self.folder / part).unlink(missing_ok=True)

    def trust(self) -> ssl.SSLContext:
        """Return a client's TLS context that trusts this cluster's authority only."""
        return ssl.create_default_context(cafile=str(self.authority))

    def _make_authority(self) -> None:
        subject = ["-subj", "/CN=mailweir development authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        self._openssl("req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", _DAYS, *subject)

    def _make_node(self) -> None:
        (self.folder / "extensions").write_text(_EXTENSIONS)
        self._openssl("req", *_KEY, "-keyout", "node.key", "-out", "node.csr", "-subj", f"/CN={NODE_PRINCIPAL}")
        signed_by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        output = ["-out", "node.crt", "-days", _DAYS, "-extfile", "extensions"]
        self._openssl("x509", "-req", "-in", "node.csr", *signed_by, *output)
        # Kafka's PEM key store is one file: the private key (PKCS#8), then the chain.
        chain = "".join((self.folder / part).read_text() for part in ("node.key", "node.crt", "ca.pem"))
        self.node.touch(mode=0o600)
        self.node.write_text(chain)

    def _openssl(self, *arguments: str) -> None:
        command = shutil.which("openssl")
        if command is None:
            raise KafkaSetupError("a secure cluster needs the openssl command; install it with: apt install openssl")
        done = subprocess.run([command, *arguments], capture_output=True, text=True, cwd=self.folder, check=False)  # noqa: S603
        if done.returncode:
            raise KafkaSetupError(f"openssl {arguments[0]} failed:\n{done.stderr.strip()}")
