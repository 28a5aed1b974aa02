//! What is wrong with a file, on its way through the engine: an error within errors, which another process may turn into words
//! that only programmers like. The marks around ours survive that.

use std::fmt;

use faultline_record::RecordError;

const MARKS: (char, char) = ('⟪', '⟫');

/// An error of a file's.
#[derive(thiserror::Error)]
#[error("{0}")]
pub struct FileFault(#[from] RecordError);

impl fmt::Debug for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", MARKS.0, self.0, MARKS.1)
    }
}

/// What words of another process say of a file: the words of a [`FileFault`] within them, or those of `object_store` and `parquet`
/// about a file that is not there or not sound.
#[cfg(feature = "cluster")]
pub fn within(words: &str) -> Option<String> {
    let ours = words.split_once(MARKS.0).and_then(|(_, rest)| rest.split_once(MARKS.1));
    if let Some((text, _)) = ours {
        return Some(text.replace("\\\"", "\"").replace("\\\\", "\\"));
    }
    if let Some((_, rest)) = words.split_once("Object at location ") {
        return Some(format!("{} is not there", rest.split(" not found").next().unwrap_or(rest)));
    }
    let (_, parquet) = words.split_once("ParquetError(")?;
    let (_, text) = parquet.split_once('"')?;
    Some(text.rsplit_once('"').map_or(text, |(text, _)| text).replace("\\\"", "\""))
}

#[cfg(test)]
#[cfg(feature = "cluster")]
mod tests {
    use datafusion::common::DataFusionError;

    use super::*;

    #[test]
    fn a_fault_is_found_again_in_words_of_words() {
        let fault = FileFault(faultline_record::Reader::open("/nonexistent \"a\"/b.sqlite".as_ref()).unwrap_err());
        let said = fault.to_string();
        assert!(said.contains("/nonexistent \"a\"/b.sqlite"), "{said}");
        let error = DataFusionError::External(Box::new(fault));
        let words = format!("stage 1 failed: {error:?}");
        assert_eq!(within(&words).as_deref(), Some(said.as_str()));
        assert_eq!(within(&format!("job failed: {words:?}")).as_deref(), Some(said.as_str()));
        assert_eq!(within("a query without files"), None);
        let gone = r#"ParquetError(General("Failed: Object at location /tmp/a.parquet not found: No such file or directory"))"#;
        assert_eq!(within(gone).as_deref(), Some("/tmp/a.parquet is not there"));
        let damaged = r#"External(ParquetError(General("Invalid Parquet file: bad footer")))"#;
        assert_eq!(within(damaged).as_deref(), Some("Invalid Parquet file: bad footer"));
    }
}
