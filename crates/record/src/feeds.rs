//! Feeds of others in the file: storing and reading them. What they say is kept as it was said.

use rusqlite::{Connection, Result, Row, params};
use serde_json::json;

use crate::cells::Cells;
use crate::database::Database;
use crate::error::RecordError;
use crate::insert::{NewRow, content_key};
use crate::model::{Announcement, Feed, Place, Point, Series, SeriesKind, SeriesSummary, Stored, Timestamp};
use crate::reader::Reader;
use crate::tables::{FEED_EVENTS, FEED_POINTS, FEED_SERIES, INSERTS};

impl Database {
    /// Stores a feed, all of it or nothing. A value of a moment that is there already stays as it is.
    pub fn insert_feed(&mut self, feed: &Feed) -> std::result::Result<Stored, RecordError> {
        let mut stored = Stored::default();
        self.transaction(|connection| {
            stored = Stored::default();
            for (of, points) in &feed.series {
                let key = series(connection, of)?;
                points.iter().try_for_each(|value| point(connection, &key, value, &mut stored))?;
            }
            feed.announcements.iter().try_for_each(|one| announcement(connection, one, &mut stored))
        })?;
        Ok(stored)
    }
}

fn series(connection: &Connection, series: &Series) -> Result<[u8; 16]> {
    let Series { kind, source, signal, unit, step_ms, place: Place { country, region, asn } } = series;
    let key = content_key(&json!([kind.name(), source, signal, unit, step_ms, country, region, asn]));
    let mut row = NewRow::of(connection, &INSERTS.feed_series)?;
    row.put(params![key, kind.name(), source, signal, unit, step_ms, country, region, asn])?;
    row.store()?;
    Ok(key)
}

fn point(connection: &Connection, series: &[u8; 16], point: &Point, stored: &mut Stored) -> Result<()> {
    let at = point.at.as_millisecond();
    let mut row = NewRow::of(connection, &INSERTS.feed_point)?;
    row.put(params![series, at, point.value, point.baseline])?;
    stored.found += 1;
    if row.store_new()? {
        stored.added += 1;
        return Ok(());
    }
    let select = "SELECT value IS ?3 AND baseline IS ?4 FROM feed_points WHERE series = ?1 AND at = ?2";
    let mut known = connection.prepare_cached(select)?;
    let is_same: bool = known.query_row(params![series, at, point.value, point.baseline], |row| row.get(0))?;
    stored.conflicting += u64::from(!is_same);
    Ok(())
}

fn announcement(connection: &Connection, one: &Announcement, stored: &mut Stored) -> Result<()> {
    let Announcement { source, kind, place: Place { country, region, asn }, from, to, cause, score, words } = one;
    let (from, to) = (from.as_millisecond(), to.map(Timestamp::as_millisecond));
    let key = content_key(&json!([source, kind, country, region, asn, from, to, cause, score, words]));
    let mut row = NewRow::of(connection, &INSERTS.feed_event)?;
    row.put(params![key, source, kind, country, region, asn, from, to, cause, score, words])?;
    stored.found += 1;
    stored.added += u64::from(row.store_new()?);
    Ok(())
}

/// Every series with what its values span, by source, place and signal.
const SUMMARIES: &str = "count(p.at), min(p.at), max(p.at), min(p.value), max(p.value)
    FROM feed_series t LEFT JOIN feed_points p ON p.series = t.id GROUP BY t.id
    ORDER BY t.source, t.kind, t.country, t.region, t.asn, t.signal, t.id";

impl Reader {
    /// The series that others publish, each with what its values span.
    pub fn feed_series(&self) -> std::result::Result<Vec<SeriesSummary>, RecordError> {
        let select = format!("SELECT {}, {SUMMARIES}", FEED_SERIES.select("t"));
        self.list(&select, (), |file, row| {
            let mut cells = Cells::new(file, &FEED_SERIES, row);
            let (id, series) = (cells.read()?, read_series(&mut cells)?);
            let first = FEED_SERIES.columns.len();
            let column = |error| RecordError::from_sqlite(file, error);
            let stamp = |at: Option<i64>| at.map(Timestamp::from_millisecond);
            Ok(SeriesSummary {
                id,
                series,
                points: u64::try_from(row.get::<_, i64>(first).map_err(column)?).unwrap_or(0),
                first: stamp(row.get(first + 1).map_err(column)?),
                last: stamp(row.get(first + 2).map_err(column)?),
                least: row.get(first + 3).map_err(column)?,
                most: row.get(first + 4).map_err(column)?,
            })
        })
    }

    /// The values of a series from a moment on and before another, in the order of time.
    pub fn feed_points(
        &self,
        series: &[u8; 16],
        from: Timestamp,
        before: Timestamp,
    ) -> std::result::Result<Vec<Point>, RecordError> {
        let select = format!(
            "SELECT {} FROM feed_points t WHERE t.series = ?1 AND t.at >= ?2 AND t.at < ?3 ORDER BY t.at",
            FEED_POINTS.select("t")
        );
        self.list(&select, params![series, from.as_millisecond(), before.as_millisecond()], read_point)
    }

    /// What others announce, by its beginning.
    pub fn announcements(&self) -> std::result::Result<Vec<Announcement>, RecordError> {
        let select = format!("SELECT {} FROM feed_events t ORDER BY t.from_at, t.id", FEED_EVENTS.select("t"));
        self.list(&select, (), read_announcement)
    }

    /// Parses every series, value and announcement: what a stranger's file holds must be of this format.
    pub(crate) fn check_feeds(&self) -> std::result::Result<(), RecordError> {
        let of = |table: &crate::tables::Table| format!("SELECT {} FROM {} t", table.select("t"), table.name);
        self.each(&of(&FEED_SERIES), (), |row| {
            let mut cells = Cells::new(self.file(), &FEED_SERIES, row);
            cells.skip(1);
            read_series(&mut cells).map(|_| true)
        })?;
        self.each(&of(&FEED_POINTS), (), |row| read_point(self.file(), row).map(|_| true))?;
        self.each(&of(&FEED_EVENTS), (), |row| read_announcement(self.file(), row).map(|_| true))
    }
}

type Read<T> = std::result::Result<T, RecordError>;

fn read_series(cells: &mut Cells<'_>) -> Read<Series> {
    Ok(Series {
        kind: cells.parse(SeriesKind::from_name)?,
        source: cells.read()?,
        signal: cells.read()?,
        unit: cells.read()?,
        step_ms: cells.read()?,
        place: read_place(cells)?,
    })
}

fn read_place(cells: &mut Cells<'_>) -> Read<Place> {
    Ok(Place { country: cells.read()?, region: cells.read()?, asn: cells.read()? })
}

fn read_point(file: &std::path::Path, row: &Row<'_>) -> Read<Point> {
    let mut cells = Cells::new(file, &FEED_POINTS, row);
    cells.skip(1);
    let at = Timestamp::from_millisecond(cells.read()?);
    Ok(Point { at, value: cells.finite()?, baseline: cells.finite_or_null()? })
}

fn read_announcement(file: &std::path::Path, row: &Row<'_>) -> Read<Announcement> {
    let mut cells = Cells::new(file, &FEED_EVENTS, row);
    cells.skip(1);
    Ok(Announcement {
        source: cells.read()?,
        kind: cells.read()?,
        place: read_place(&mut cells)?,
        from: Timestamp::from_millisecond(cells.read()?),
        to: cells.read::<Option<i64>>()?.map(Timestamp::from_millisecond),
        cause: cells.read()?,
        score: cells.finite_or_null()?,
        words: cells.read()?,
    })
}
