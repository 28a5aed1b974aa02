-- One run of the probe: what ran, under which limits, over which lists.
CREATE TABLE runs (
    -- Identifier, UUIDv7 (RFC 9562, 5.7).
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- Wall clock at the start, milliseconds since 1970-01-01T00:00:00Z.
    started_at INTEGER NOT NULL,
    -- Name of the software that measured.
    software_name TEXT NOT NULL,
    -- Version of that software.
    software_version TEXT NOT NULL,
    -- Operating system and architecture.
    platform TEXT NOT NULL,
    -- SHA-256 over the lists measured.
    lists_sha256 BLOB NOT NULL CHECK (length(lists_sha256) = 32),
    -- SHA-256 over the plan as `--dry-run` prints it.
    plan_sha256 BLOB NOT NULL CHECK (length(plan_sha256) = 32),
    -- How consent was given: `asked`, `option`, or when it was recorded before.
    consent TEXT NOT NULL,
    -- How many targets the plan held.
    planned INTEGER NOT NULL CHECK (planned BETWEEN 0 AND 4294967295),
    -- How many targets were left out since their category is off.
    left_out INTEGER NOT NULL CHECK (left_out BETWEEN 0 AND 4294967295),
    -- The TLS client's shape, for comparing runs: library, version, key exchange groups.
    tls_fingerprint TEXT NOT NULL,
    -- `user_version` of the file when the row was first written: which format the software knew.
    format INTEGER NOT NULL CHECK (format >= 1)
) STRICT, WITHOUT ROWID;

-- How a run ended. A run that was killed has no row here.
CREATE TABLE run_ends (
    -- The run.
    run BLOB NOT NULL PRIMARY KEY REFERENCES runs (id),
    -- Why it ended.
    reason TEXT NOT NULL,
    -- Length, milliseconds.
    duration_ms REAL NOT NULL CHECK (duration_ms >= 0),
    -- Targets measured.
    measured INTEGER NOT NULL CHECK (measured BETWEEN 0 AND 4294967295),
    -- Targets planned and not begun.
    not_run INTEGER NOT NULL CHECK (not_run BETWEEN 0 AND 4294967295),
    -- TCP connections opened.
    connections INTEGER NOT NULL CHECK (connections >= 0),
    -- Bytes sent, as payload.
    bytes_sent INTEGER NOT NULL CHECK (bytes_sent >= 0),
    -- Bytes received, as payload.
    bytes_received INTEGER NOT NULL CHECK (bytes_received >= 0)
) STRICT, WITHOUT ROWID;

-- A stretch of a run in which the pacing canary failed: our own load may be the cause of what was seen then.
CREATE TABLE pace_marks (
    -- The run.
    run BLOB NOT NULL REFERENCES runs (id),
    -- End of the last good canary, milliseconds since the run's start.
    from_ms REAL NOT NULL CHECK (from_ms >= 0),
    -- End of the failed canary, milliseconds since the run's start.
    to_ms REAL NOT NULL CHECK (to_ms >= from_ms),
    -- The pace it failed at, new connections a second.
    rate REAL NOT NULL CHECK (rate >= 0),
    PRIMARY KEY (run, from_ms, to_ms, rate)
) STRICT, WITHOUT ROWID;

-- Vantages: one row for each distinct content. The public address is never part of it.
CREATE TABLE networks (
    -- First 16 bytes of the SHA-256 of the other columns as a compact JSON array, in this order.
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- Autonomous system number, if known.
    asn INTEGER CHECK (asn BETWEEN 0 AND 4294967295),
    -- The operator's name, if known.
    as_name TEXT,
    -- ISO 3166-1 alpha-2 code in upper case, if known.
    country TEXT,
    -- The access link.
    kind TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What was measured: one row for each distinct content.
CREATE TABLE targets (
    -- First 16 bytes of the SHA-256 of the other columns as a compact JSON array, in this order.
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- As the user or the list wrote it.
    input TEXT NOT NULL,
    -- Stable name: `service/role` where a service file knows the endpoint, else made from the host.
    name TEXT NOT NULL,
    -- What is connected to, as a URL.
    endpoint TEXT NOT NULL,
    -- Citizen Lab category code, if the list gives one.
    category TEXT,
    -- The list it came from; NULL for an input on the command line.
    list TEXT,
    -- How seldom its operator lets it fail.
    availability TEXT NOT NULL,
    -- 1 if its chain ends at a certificate authority of its own, so that public roots say nothing about it.
    private_ca INTEGER NOT NULL CHECK (private_ca IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Everything seen of one target at one time.
CREATE TABLE measurements (
    -- Identifier, UUIDv7 (RFC 9562, 5.7).
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- The run it belongs to.
    run BLOB NOT NULL REFERENCES runs (id),
    -- What was measured.
    target BLOB NOT NULL REFERENCES targets (id),
    -- The vantage.
    network BLOB NOT NULL REFERENCES networks (id),
    -- Wall clock at the start, milliseconds since 1970-01-01T00:00:00Z: the only one.
    started_at INTEGER NOT NULL,
    -- Start, milliseconds since the run's start (monotonic).
    offset_ms REAL NOT NULL CHECK (offset_ms >= 0),
    -- Length, milliseconds.
    duration_ms REAL NOT NULL CHECK (duration_ms >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX measurements_by_time ON measurements (run, offset_ms);

-- One row a step, tried or not. Columns that begin with `dns_`, `tls_` or `http_` are NULL for other steps.
CREATE TABLE observations (
    -- The measurement.
    measurement BLOB NOT NULL REFERENCES measurements (id),
    -- Position in the measurement, from 1.
    seq INTEGER NOT NULL CHECK (seq BETWEEN 1 AND 65535),
    -- Redirect hop, from 0.
    hop INTEGER NOT NULL CHECK (hop BETWEEN 0 AND 65535),
    -- Why it was done.
    purpose TEXT NOT NULL,
    -- What was done.
    step TEXT NOT NULL,
    -- The operation that the step is.
    operation TEXT NOT NULL,
    -- Steps over one connection share this number; NULL for DNS.
    connection INTEGER CHECK (connection BETWEEN 0 AND 4294967295),
    -- Start, milliseconds since the measurement's start (monotonic).
    t0_ms REAL NOT NULL CHECK (t0_ms >= 0),
    -- End, milliseconds since the measurement's start (monotonic).
    t_ms REAL NOT NULL CHECK (t_ms >= 0),
    -- Why it failed, in the vocabulary of failures; NULL if it succeeded or was not run.
    failure TEXT,
    -- Why it was never tried; NULL if it was. Never counted as a failure.
    not_run TEXT,
    -- Whose words came with a failure, without addresses of the vantage; never counted.
    detail TEXT,
    -- Where the packets went; NULL for a resolver reached through the system's configuration.
    address TEXT,
    -- Port of `address`.
    port INTEGER CHECK (port BETWEEN 0 AND 65535),
    -- How the question was asked.
    dns_engine TEXT,
    -- Stable name of the resolver: `system`, `resolver/...`, or a DoH URL.
    dns_resolver TEXT,
    -- The name asked for.
    dns_hostname TEXT,
    -- The record type asked for.
    dns_query_type TEXT,
    -- RCODE of the first reply (RFC 1035, 4.1.1), where it can be seen.
    dns_rcode INTEGER CHECK (dns_rcode BETWEEN 0 AND 65535),
    -- How many replies came to the one question.
    dns_replies INTEGER CHECK (dns_replies BETWEEN 0 AND 65535),
    -- Server name offered (RFC 6066, section 3); NULL when none was.
    tls_sni TEXT,
    -- Negotiated version: `TLSv1.2`, `TLSv1.3`.
    tls_version TEXT,
    -- IANA name of the cipher suite.
    tls_cipher_suite TEXT,
    -- Negotiated application protocol (RFC 7301).
    tls_alpn TEXT,
    -- Bytes received before the end of the handshake; 0 with a failure: the peer never spoke.
    tls_bytes_received INTEGER CHECK (tls_bytes_received >= 0),
    -- What the first bytes received were, if any were.
    tls_first_bytes TEXT,
    -- The URL asked for.
    http_url TEXT,
    -- `http/1.1` or `h2`.
    http_protocol TEXT,
    -- Status code, once a response came.
    http_status INTEGER CHECK (http_status BETWEEN 0 AND 65535),
    -- Response headers in order, as a JSON array of pairs of name (lower case) and value, without addresses of the vantage.
    http_headers TEXT,
    -- The body as far as it was kept; NULL if none was.
    http_body BLOB REFERENCES bodies (sha256),
    -- Bytes of body that were received.
    http_body_length INTEGER CHECK (http_body_length >= 0),
    -- 1 if the body was longer than what is kept.
    http_body_truncated INTEGER CHECK (http_body_truncated IN (0, 1)),
    PRIMARY KEY (measurement, seq),
    CHECK (failure IS NULL OR not_run IS NULL)
) STRICT;

-- Records of every reply to a DNS question; a reply without any has one row that holds neither address nor name.
CREATE TABLE dns_answers (
    -- The measurement.
    measurement BLOB NOT NULL,
    -- The observation's position in it.
    seq INTEGER NOT NULL,
    -- Position among the observation's answers, from 0.
    position INTEGER NOT NULL CHECK (position BETWEEN 0 AND 65535),
    -- Which reply, from 0; any after the first came to a question that was answered already.
    reply INTEGER NOT NULL CHECK (reply BETWEEN 0 AND 65535),
    -- RCODE of that reply.
    rcode INTEGER CHECK (rcode BETWEEN 0 AND 65535),
    -- Milliseconds after the question that this reply came, rounded down.
    after_ms INTEGER NOT NULL CHECK (after_ms BETWEEN 0 AND 4294967295),
    -- Time to live, seconds.
    ttl INTEGER CHECK (ttl BETWEEN 0 AND 4294967295),
    -- The address of an A or AAAA record.
    address TEXT,
    -- The name in a CNAME record.
    cname TEXT,
    PRIMARY KEY (measurement, seq, position),
    FOREIGN KEY (measurement, seq) REFERENCES observations (measurement, seq),
    CHECK (address IS NULL OR cname IS NULL)
) STRICT, WITHOUT ROWID;

-- The chain that a TLS peer sent, kept also when its verification failed.
CREATE TABLE tls_chains (
    -- The measurement.
    measurement BLOB NOT NULL,
    -- The observation's position in it.
    seq INTEGER NOT NULL,
    -- Position in the chain, leaf first, from 0.
    position INTEGER NOT NULL CHECK (position BETWEEN 0 AND 65535),
    -- The certificate.
    certificate BLOB NOT NULL REFERENCES certificates (sha256),
    PRIMARY KEY (measurement, seq, position),
    FOREIGN KEY (measurement, seq) REFERENCES observations (measurement, seq)
) STRICT, WITHOUT ROWID;

-- Certificates, each stored once.
CREATE TABLE certificates (
    -- SHA-256 of `der`.
    sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    -- As received (X.690 DER).
    der BLOB NOT NULL,
    -- Subject as an RFC 4514-like string; empty when the DER cannot be parsed.
    subject TEXT NOT NULL,
    -- Issuer as an RFC 4514-like string; empty when the DER cannot be parsed.
    issuer TEXT NOT NULL,
    -- Not before, seconds since 1970-01-01T00:00:00Z.
    not_before INTEGER,
    -- Not after, seconds since 1970-01-01T00:00:00Z.
    not_after INTEGER
) STRICT;

-- HTTP bodies as far as they were kept, each stored once, without addresses of the vantage.
CREATE TABLE bodies (
    -- SHA-256 of `bytes`.
    sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    -- The body, content codings undone.
    bytes BLOB NOT NULL
) STRICT;

-- One check of the vantage's own connectivity.
CREATE TABLE health_checks (
    -- Identifier, UUIDv7 (RFC 9562, 5.7).
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- The run it belongs to.
    run BLOB NOT NULL REFERENCES runs (id),
    -- Why it was made.
    reason TEXT NOT NULL,
    -- Start, milliseconds since the run's start (monotonic).
    offset_ms REAL NOT NULL CHECK (offset_ms >= 0),
    -- Length, milliseconds.
    duration_ms REAL NOT NULL CHECK (duration_ms >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX health_checks_by_time ON health_checks (run, offset_ms);

-- What a check looked at and what came of it.
CREATE TABLE health_signals (
    -- The check.
    health_check BLOB NOT NULL REFERENCES health_checks (id),
    -- Position in the check, from 0.
    position INTEGER NOT NULL CHECK (position BETWEEN 0 AND 65535),
    -- What was looked at.
    kind TEXT NOT NULL,
    -- Stable name of the control, check, interface or resolver.
    name TEXT NOT NULL,
    -- Who operates it, where it is someone.
    provider TEXT,
    -- The internet protocol, where it concerns one family only.
    family TEXT,
    -- Where it was reached, where that is someone else's address.
    address TEXT,
    -- Why it failed, in the vocabulary of failures; NULL if it succeeded or was not run.
    failure TEXT,
    -- Why it was never tried; NULL if it was.
    not_run TEXT,
    -- A number, where the kind has one.
    value REAL,
    -- How long it took, milliseconds.
    duration_ms REAL NOT NULL CHECK (duration_ms >= 0),
    -- Words for a reader; never counted.
    detail TEXT,
    PRIMARY KEY (health_check, position),
    CHECK (failure IS NULL OR not_run IS NULL)
) STRICT, WITHOUT ROWID;
