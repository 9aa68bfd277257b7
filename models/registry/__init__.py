"""The registry of models: immutable signed bundles by version, and one pointer that says which of them is champion."""

from mailweir.models.registry.keys import PrivateKey, PublicKey, key_id, make_keys, read_private, read_public
from mailweir.models.registry.pointer import Promotion
from mailweir.models.registry.registry import Entry, Registry
from mailweir.models.registry.shadow import Shadow
from mailweir.models.registry.signature import SIGNATURE, Signature, read_signature
from mailweir.models.registry.verify import Trusted, trusted_manifest, verify_bundle

__all__ = [
    "SIGNATURE",
    "Entry",
    "PrivateKey",
    "Promotion",
    "PublicKey",
    "Registry",
    "Shadow",
    "Signature",
    "Trusted",
    "key_id",
    "make_keys",
    "read_private",
    "read_public",
    "read_signature",
    "trusted_manifest",
    "verify_bundle",
]
