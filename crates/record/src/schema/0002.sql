-- Where measurements come from that another tool made. A probe's own have no row here.
CREATE TABLE origins (
    -- The measurement.
    measurement BLOB NOT NULL PRIMARY KEY REFERENCES measurements (id),
    -- The format it was imported from: `ooni`.
    format TEXT NOT NULL,
    -- The tool's name for the test.
    test_name TEXT NOT NULL,
    -- The test's version.
    test_version TEXT,
    -- The report it belongs to (OONI's `report_id`).
    report TEXT,
    -- The tool's own identifier of the measurement (OONI's `measurement_uid`).
    uid TEXT,
    -- SHA-256 of the measurement as it stood in the input, without white space around it; measurements that were cut from one share it.
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32)
) STRICT, WITHOUT ROWID;

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
-- Title of the page as a helper passed it on; NULL for pages of our own, whose body tells.
ALTER TABLE observations ADD COLUMN http_title TEXT;
-- Milliseconds from the request to the end of the response's head, rounded down; NULL: none came.
ALTER TABLE observations ADD COLUMN http_head_ms INTEGER CHECK (http_head_ms >= 0);
-- When bytes came over the connection after the request, as JSON: at most 32 pairs of milliseconds (rounded down) and of
-- bytes in all by then (TLS and heads included), both growing. The first pair is the first that came, the last the last;
-- between them one is kept of each so many bytes, a power of two that doubles when they become too many.
ALTER TABLE observations ADD COLUMN http_arrivals TEXT;
-- Whether that reply carried an OPT record (RFC 6891); NULL: not known.
ALTER TABLE dns_answers ADD COLUMN opt INTEGER CHECK (opt IN (0, 1));
-- Whether that reply spelled the name with the very letters of the question, capitals and small ones; NULL: not known.
ALTER TABLE dns_answers ADD COLUMN case_kept INTEGER CHECK (case_kept IN (0, 1));
