-- Series of numbers that somebody else publishes of a place: signals of connectivity, or the demand for something. One row for each distinct content.
CREATE TABLE feed_series (
    -- First 16 bytes of the SHA-256 of the other columns as a compact JSON array, in this order.
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- What kind of series it is.
    kind TEXT NOT NULL,
    -- Who publishes it: `ioda`, `cloudflare-radar`, or the name that was given at the import.
    source TEXT NOT NULL,
    -- What its values are of, in the source's own words.
    signal TEXT NOT NULL,
    -- What a value counts; NULL if the source does not say.
    unit TEXT,
    -- Milliseconds from one value to the next; NULL if they do not come regularly.
    step_ms INTEGER CHECK (step_ms > 0),
    -- ISO 3166-1 alpha-2 code in upper case; NULL if it is of no one country.
    country TEXT,
    -- Part of the country, in the source's own words.
    region TEXT,
    -- Autonomous system number, if it is of one.
    asn INTEGER CHECK (asn BETWEEN 0 AND 4294967295)
) STRICT, WITHOUT ROWID;

-- Values of a series. What was stored first of a moment stays; a gap is no row.
CREATE TABLE feed_points (
    -- The series.
    series BLOB NOT NULL REFERENCES feed_series (id),
    -- Beginning of the interval, milliseconds since 1970-01-01T00:00:00Z.
    at INTEGER NOT NULL,
    -- The value, in the series' unit.
    value REAL NOT NULL,
    -- What the source itself compares it with, in the same unit.
    baseline REAL,
    PRIMARY KEY (series, at)
) STRICT, WITHOUT ROWID;

-- What somebody else announces as an outage, an anomaly or an alert. One row for each distinct content.
CREATE TABLE feed_events (
    -- First 16 bytes of the SHA-256 of the other columns as a compact JSON array, in this order.
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- Who announces it.
    source TEXT NOT NULL,
    -- What it is called there: `outage`, `anomaly`, `alert`, ...
    kind TEXT NOT NULL,
    -- ISO 3166-1 alpha-2 code in upper case; NULL if it is of no one country.
    country TEXT,
    -- Part of the country, in the source's own words.
    region TEXT,
    -- Autonomous system number, if it is of one.
    asn INTEGER CHECK (asn BETWEEN 0 AND 4294967295),
    -- When it began, milliseconds since 1970-01-01T00:00:00Z.
    from_at INTEGER NOT NULL,
    -- When it ended; NULL if it had not, or nobody said.
    to_at INTEGER,
    -- The cause that the source names, in its own words.
    cause TEXT,
    -- The source's own measure of how grave it is.
    score REAL,
    -- What else it says.
    words TEXT
) STRICT, WITHOUT ROWID;

-- What came into this file from others, one row for each file that was merged or imported. Of this file alone: a merge does not take it over.
CREATE TABLE intakes (
    -- Position, in the order of time.
    id INTEGER NOT NULL PRIMARY KEY,
    -- What was done.
    kind TEXT NOT NULL,
    -- What it was: `faultline`, or the format of an import.
    format TEXT NOT NULL,
    -- The file's name, without its folders.
    name TEXT NOT NULL,
    -- SHA-256 of what was read of the file: of a database its pages and then its write-ahead log; of anything else all bytes, but of a broken archive those up to the break.
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    -- How many bytes that were.
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    -- Wall clock at the end, milliseconds since 1970-01-01T00:00:00Z.
    at INTEGER NOT NULL,
    -- Version of the software that did it.
    software_version TEXT NOT NULL,
    -- Measurements (of a feed: values and events) that were found in it.
    found INTEGER NOT NULL CHECK (found >= 0),
    -- Of those, the ones that were added.
    added INTEGER NOT NULL CHECK (added >= 0),
    -- Of those, the ones that contradict what was there, and were left out.
    conflicting INTEGER NOT NULL CHECK (conflicting >= 0),
    -- What was refused as broken.
    refused INTEGER NOT NULL CHECK (refused >= 0)
) STRICT;

CREATE INDEX intakes_by_content ON intakes (sha256);

-- Which runs' measurements an intake added.
CREATE TABLE intake_runs (
    -- The intake.
    intake INTEGER NOT NULL REFERENCES intakes (id),
    -- The run.
    run BLOB NOT NULL REFERENCES runs (id),
    -- How many measurements of it.
    added INTEGER NOT NULL CHECK (added > 0),
    PRIMARY KEY (intake, run)
) STRICT, WITHOUT ROWID;

-- Texts of imported measurements, so that a better importer can read them again.
CREATE TABLE raw_texts (
    -- SHA-256 of the text: that of `origins`.
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    -- The format, as in `origins`.
    format TEXT NOT NULL,
    -- Where it stood, as far as its reading depends on that: the name of a scan; else empty.
    place TEXT NOT NULL,
    -- Length of the text, bytes.
    length INTEGER NOT NULL CHECK (length >= 0),
    -- The text as a DEFLATE stream (RFC 1951).
    deflated BLOB NOT NULL,
    PRIMARY KEY (sha256, format, place)
) STRICT;
