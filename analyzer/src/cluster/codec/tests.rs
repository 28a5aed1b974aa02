//! Plans written and read again within one process, and run.

use datafusion::arrow::array::RecordBatch;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use tempfile::TempDir;

use super::*;
use crate::engine::{Engine, config};
use crate::sources::Sources;

const QUESTIONS: [&str; 3] = [
    "SELECT state, country, count(*) AS n FROM verdicts WHERE country <> 'TR' GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT m.id, o.seq, o.step FROM measurements m JOIN observations o ON o.measurement = m.id \
     WHERE m.started_at > '2020-01-01T00:00:00Z' AND m.asn IN (64500, 64501, 64502) ORDER BY 1, 2",
    "SELECT count(*) AS n FROM health_checks",
];

/// Tables over files that share measurements.
async fn tables(folder: &TempDir, known: Known) -> (SessionContext, Arc<Local>) {
    let plans = crate::generate::plans(folder.path(), 200, 3, 1);
    for plan in &plans {
        plan.carry_out().unwrap();
    }
    let again = folder.path().join("again.sqlite");
    std::fs::copy(&plans[1].file, &again).unwrap();
    let files: Vec<_> = plans.iter().map(|plan| plan.file.clone()).chain([again]).collect();
    let local = Arc::new(Local::default());
    let sources = Sources::open(&files).sound;
    let units = Units::of(sources, &local.files).unwrap().spread(&local.files).unwrap();
    let context = SessionContext::new_with_config(config().with_target_partitions(3));
    let means = Means { files: Arc::clone(&local.files), fingerprints: Arc::new(known) };
    Engine::with(context.clone(), units, means, &[]).await.unwrap();
    (context, local)
}

fn known(texts: &[(&str, &str)]) -> Known {
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
    Known::of(texts.iter().map(own).collect()).unwrap()
}

async fn rows(context: &SessionContext, plan: Arc<dyn ExecutionPlan>) -> Vec<RecordBatch> {
    let rows = collect(plan, context.task_ctx()).await.unwrap();
    assert!(rows.iter().any(|batch| batch.num_rows() > 0));
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_written_and_read_again_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (context, _) = tables(&folder, known(&[])).await;
    // Another process: it has checked no file.
    let (logical, physical) = (Logical::default(), Physical::default());
    for sql in QUESTIONS {
        let question = context.sql(sql).await.unwrap();
        let expected = question.clone().collect().await.unwrap();
        let plan = question.into_optimized_plan().unwrap();
        let sent = logical_plan_to_bytes_with_extension_codec(&plan, &logical).unwrap();
        let task = context.task_ctx();
        let came = logical_plan_from_bytes_with_extension_codec(&sent, &task, &logical).unwrap();
        let plan = context.state().create_physical_plan(&came).await.unwrap();
        let sent = physical_plan_to_bytes_with_extension_codec(plan, &physical).unwrap();
        let came = physical_plan_from_bytes_with_extension_codec(&sent, &task, &physical).unwrap();
        let text =
            |rows: &[RecordBatch]| datafusion::arrow::util::pretty::pretty_format_batches(rows).unwrap().to_string();
        assert_eq!(text(&rows(&context, came).await), text(&expected), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fingerprints_travel_and_a_build_that_judges_otherwise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let list = "name,scope,other_names,location_found,pattern_type,pattern,confidence_no_fp,expected_countries,source,\
                exp_url,notes\nx,nat,,body,contains,certainly no page,5,PK,,,\n";
    let (context, _) = tables(&folder, known(&[("list.csv", list)])).await;
    let table = context.table_provider("verdicts").await.unwrap();
    let (codec, name, task) = (Logical::default(), TableReference::bare("verdicts"), context.task_ctx());
    let mut sent = Vec::new();
    codec.try_encode_table_provider(&name, Arc::clone(&table), &mut sent).unwrap();
    let read = |sent: &[u8]| codec.try_decode_table_provider(sent, &name, table.schema(), &task);
    let came = read(&sent).unwrap();
    let (came, table) = (came.downcast_ref::<FilesTable>().unwrap(), table.downcast_ref::<FilesTable>().unwrap());
    assert_eq!(came.means.fingerprints.all.snapshot(), table.means.fingerprints.all.snapshot());
    assert_ne!(came.means.fingerprints.all.snapshot(), known(&[]).all.snapshot());
    let text = String::from_utf8(sent).unwrap();
    let weights = &faultline_verdict::table().weights;
    let refused = read(text.replace(weights.as_str(), "0").as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("run the same analyzer everywhere"), "{refused}");
    let refused = read(b"faultline:{}").unwrap_err().to_string();
    assert!(refused.contains("another analyzer wrote this plan"), "{refused}");
}
