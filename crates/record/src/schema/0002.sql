-- Time to live (IPv4) or hop limit (IPv6) of what was sent after the connection stood, where it was set; NULL: the system's.
ALTER TABLE observations ADD COLUMN ttl INTEGER CHECK (ttl BETWEEN 1 AND 255);
