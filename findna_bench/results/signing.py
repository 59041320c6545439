"""Signatures of bundles, in the format of minisign (Ed25519), so that ``minisign -V`` checks them as well as ``verify --key``.

A bundle's digests show damage; a signature shows whose it is: who changes a byte, or makes all of it anew, has not the secret key.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from findna_bench.errors import OutputError, UsageError
from findna_bench.files import write_atomic
from findna_bench.private_paths import last_part

__all__ = ["Signed", "check_signature", "make_keys", "sign", "signature_of", "signer"]

_KEY_LINE_LENGTH = 56
"""Characters of a public key in base64."""
_LARGEST = 1 << 16
"""Bytes of a key or signature file at most; both have some hundred."""


@dataclass(frozen=True)
class Signed:
    """A signature that holds. key: the id of its key, as minisign writes it. comment: what was signed along with the file: time and name."""

    key: str
    comment: str


def signature_of(archive: Path) -> Path:
    """Where the signature of a file lies."""
    return archive.with_name(f"{archive.name}.minisig")


def make_keys(secret: Path, public: Path, passphrase: str | None) -> str:
    """Make a pair of keys.

    Args:
        secret: the file of the secret key, which its owner alone may read (0600).
        public: the file of the public key, to be given to others.
        passphrase: what the secret key is encrypted with (scrypt); None = it is not.

    Returns:
        The id of the key.

    Raises:
        UsageError: signing is not installed, or there is such a file.
        OutputError: a file cannot be written.
    """
    minisign = _library()
    for path in (secret, public):
        if path.exists():
            raise UsageError(f"{path} is there already and is not written over; give another name")
    pair = minisign.KeyPair.generate()
    key = _id_of(pair.public_key)
    pair.public_key.untrusted_comment = f"minisign public key {key}"
    pair.secret_key.untrusted_comment = f"minisign {'' if passphrase is None else 'encrypted '}secret key"
    if passphrase is not None:
        pair.secret_key.encrypt(passphrase)
    try:
        secret.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(bytes(pair.secret_key) + b"\n")
    except OSError as error:
        raise OutputError(f"cannot write {secret}: {error.strerror or error}") from error
    write_atomic(public, bytes(pair.public_key) + b"\n")
    return key


def signer(secret: Path, passphrase: Callable[[], str], warn: Callable[[str], None]) -> Callable[[Path], Path]:
    """Open a secret key, before there is anything to sign.

    Args:
        secret: a secret key, of :func:`make_keys` or of minisign.
        passphrase: asked where the key is encrypted.
        warn: takes a sentence where others may read the key.

    Returns:
        What signs one file, and returns the signature's file, ``ARCHIVE.minisig``; it raises OutputError where a file cannot be read or written.

    Raises:
        UsageError: signing is not installed, the key is none, or the passphrase is another.
    """
    minisign = _library()
    content = _small(secret, "secret key")
    if secret.stat().st_mode & 0o077:
        warn(f"{secret} can be read by others; `chmod 600 {secret}` keeps them from it")
    try:
        key = minisign.SecretKey.from_bytes(content)
        if key.is_encrypted():
            key.decrypt(passphrase())
    except minisign.ParseError as error:
        raise UsageError(f"{secret} is no secret key of minisign ({error}); `results keygen` makes one") from error
    except minisign.Error as error:
        raise UsageError(f"{secret}: {error}") from error

    def sign_file(archive: Path) -> Path:
        comment = f"timestamp:{int(time.time())}\tfile:{_printable(last_part(archive))}\thashed"
        try:
            with key, archive.open("rb") as stream:
                signature = key.sign(stream, prehash=True, trusted_comment=comment)
        except OSError as error:
            raise OutputError(f"cannot read {archive}: {error.strerror or error}") from error
        path = signature_of(archive)
        write_atomic(path, bytes(signature) + b"\n")
        return path

    return sign_file


def sign(archive: Path, secret: Path, passphrase: Callable[[], str], warn: Callable[[str], None]) -> Path:
    """Sign a file: :func:`signer` says with what, and what may go wrong."""
    return signer(secret, passphrase, warn)(archive)


def check_signature(archive: Path, key: str) -> Signed:
    """Check that a file is the one that the owner of a key signed.

    Args:
        archive: the file; its signature lies beside it.
        key: a public key: its file, or the line in it.

    Raises:
        UsageError: signing is not installed, or the key is none.
        OutputError: there is no signature, it is another key's, or the file or the signature was changed.
    """
    minisign = _library()
    public, path = _public_key(minisign, key), signature_of(archive)
    ours = _id_of(public)
    if not path.exists():
        raise OutputError(f"{archive} has no signature beside it ({path.name}); ask for that file as well")
    content = _small(path, "signature")
    try:
        signature = minisign.Signature.from_bytes(content)
    except minisign.ParseError as error:
        raise OutputError(f"{path} is no signature of minisign ({error}); ask for it again") from error
    if (theirs := _id(base64.b64decode(bytes(signature).splitlines()[1]))) != ours:
        raise OutputError(f"{archive} is signed with key {theirs}, and --key is {ours}; ask whose key {theirs} is")
    try:
        with archive.open("rb") as stream:
            public.verify(stream, signature)
    except minisign.VerifyError as error:
        raise OutputError(
            f"{archive} is not what was signed with key {ours}: the file or its signature was changed; ask for both again"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot read {archive}: {error.strerror or error}") from error
    return Signed(ours, str(signature.trusted_comment))


def _library() -> Any:
    try:
        import minisign
    except ImportError as error:
        raise UsageError("signatures need py-minisign; install it with `pip install 'findna-bench[sign]'`") from error
    return minisign


def _public_key(minisign: Any, key: str) -> Any:
    try:
        if len(key) == _KEY_LINE_LENGTH and not Path(key).exists():
            return minisign.PublicKey.from_base64(key)
        return minisign.PublicKey.from_bytes(_small(Path(key), "public key"))
    except minisign.ParseError as error:
        raise UsageError(
            f"{key} is no public key of minisign ({error}); give the .pub file of `results keygen` or the line in it"
        ) from error


def _small(path: Path, what: str) -> bytes:
    """The content of a file that is small if it is what it has to be.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.expanduser().open("rb") as stream:
            return stream.read(_LARGEST)
    except OSError as error:
        raise UsageError(f"cannot read the {what} {path}: {error.strerror or error}") from error


def _id_of(public: Any) -> str:
    return _id(base64.b64decode(public.to_base64()))


def _id(packed: bytes) -> str:
    """The key's id in a public key or a signature: eight bytes after the algorithm's two, a number with the last byte first."""
    return packed[2:10][::-1].hex().upper()


def _printable(name: str) -> str:
    """A file name as far as a comment may hold it."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in name)
