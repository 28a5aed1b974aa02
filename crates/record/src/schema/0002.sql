-- Time to live (IPv4) or hop limit (IPv6) of what was sent after the connection stood, where it was set; NULL: the system's.
ALTER TABLE observations ADD COLUMN ttl INTEGER CHECK (ttl BETWEEN 1 AND 255);
-- Protocol of the tunnel.
ALTER TABLE observations ADD COLUMN vpn_protocol TEXT;
-- Bytes received from the tunnel's server; 0 with a failure: it never spoke.
ALTER TABLE observations ADD COLUMN vpn_bytes_received INTEGER CHECK (vpn_bytes_received >= 0);
-- What the server's first message was.
ALTER TABLE observations ADD COLUMN vpn_answer TEXT;
-- Whether that reply carried an OPT record (RFC 6891); NULL: not known.
ALTER TABLE dns_answers ADD COLUMN opt INTEGER CHECK (opt IN (0, 1));
-- Whether that reply spelled the name with the very letters of the question, capitals and small ones; NULL: not known.
ALTER TABLE dns_answers ADD COLUMN case_kept INTEGER CHECK (case_kept IN (0, 1));
