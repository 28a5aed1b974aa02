-- Time to live (IPv4) or hop limit (IPv6) of what was sent after the connection stood, where it was set; NULL: the system's.
ALTER TABLE observations ADD COLUMN ttl INTEGER CHECK (ttl BETWEEN 1 AND 255);
-- Protocol of the tunnel.
ALTER TABLE observations ADD COLUMN vpn_protocol TEXT;
-- Bytes received from the tunnel's server; 0 with a failure: it never spoke.
ALTER TABLE observations ADD COLUMN vpn_bytes_received INTEGER CHECK (vpn_bytes_received >= 0);
-- What the server's first message was.
ALTER TABLE observations ADD COLUMN vpn_answer TEXT;
-- How much of the tunnel was proven before the exchange ended.
ALTER TABLE observations ADD COLUMN vpn_proof TEXT;
-- Whether a key of the user's was used, and whether by the user's word it works from elsewhere; NULL: none was.
ALTER TABLE observations ADD COLUMN vpn_key TEXT;
