"""What is spoken over plain HTTP: storage, compute, metadata, the page, the admin door."""
