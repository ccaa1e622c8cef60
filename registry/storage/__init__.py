"""Tables, transactions, queries, and the content-addressed store."""
