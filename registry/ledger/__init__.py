"""The ledger's mathematics: a Merkle tree over canonical entries. No storage."""
