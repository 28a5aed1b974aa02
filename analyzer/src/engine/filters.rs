//! Which conditions of a query the files can be asked for: on time, network and target. The rest is DataFusion's, and so is a
//! second look at these.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use faultline_record::{Scope, Timestamp};

/// The longest list of values that is handed on.
const VALUES: usize = 1000;

/// What is done with each condition.
pub fn support(filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
    let one = |filter: &&Expr| {
        if narrow(&mut Scope::default(), filter) {
            TableProviderFilterPushDown::Inexact
        } else {
            TableProviderFilterPushDown::Unsupported
        }
    };
    filters.iter().map(one).collect()
}

/// What the conditions leave of the files, or more.
pub fn scope(filters: &[Expr]) -> Scope {
    let mut scope = Scope::default();
    for filter in filters {
        narrow(&mut scope, filter);
    }
    scope
}

/// Narrows the scope by a condition; `false`: it says nothing that files can be asked for.
fn narrow(scope: &mut Scope, filter: &Expr) -> bool {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let (left, right) = (narrow(scope, left), narrow(scope, right));
            left || right
        }
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let low = compare(scope, expr, Operator::GtEq, low);
            compare(scope, expr, Operator::LtEq, high) || low
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compare(scope, left, *op, right) => true,
        _ => choices(filter).is_some_and(|(column, values)| any_of(scope, column, &values)),
    }
}

/// A comparison of the start with a moment.
fn compare(scope: &mut Scope, left: &Expr, operator: Operator, right: &Expr) -> bool {
    let (column, operator, value) = match (left, right) {
        (Expr::Column(column), Expr::Literal(value, _)) => (column, Some(operator), value),
        (Expr::Literal(value, _), Expr::Column(column)) => (column, operator.swap(), value),
        _ => return false,
    };
    let Some((operator, stamp)) = operator.zip(moment(value)) else { return false };
    column.name == "started_at" && bound(scope, operator, stamp)
}

/// A column and the values that it may have, where a condition says nothing else: `=`, `IN`, and `OR` between them (which
/// is what DataFusion makes of a short `IN`).
fn choices(filter: &Expr) -> Option<(&str, Vec<&ScalarValue>)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((column, mut values), (other, more)) = (choices(left)?, choices(right)?);
            values.extend(more);
            (column == other).then_some((column, values))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (&**left, &**right) {
            (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) => {
                Some((&column.name, vec![value]))
            }
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            let Expr::Column(column) = &**expr else { return None };
            Some((&column.name, list.iter().map(literal).collect::<Option<_>>()?))
        }
        _ => None,
    }
}

fn literal(item: &Expr) -> Option<&ScalarValue> {
    if let Expr::Literal(value, _) = item { Some(value) } else { None }
}

/// Bounds are taken as if they belonged to the range: the second look is exact.
fn bound(scope: &mut Scope, operator: Operator, stamp: Timestamp) -> bool {
    let from = || scope.from.map_or(stamp, |from| from.max(stamp));
    let until = || scope.until.map_or(stamp, |until| until.min(stamp));
    match operator {
        Operator::Eq => (scope.from, scope.until) = (Some(from()), Some(until())),
        Operator::Gt | Operator::GtEq => scope.from = Some(from()),
        Operator::Lt | Operator::LtEq => scope.until = Some(until()),
        _ => return false,
    }
    true
}

/// One of these values. A second condition on the same column is left to the second look.
fn any_of(scope: &mut Scope, column: &str, values: &[&ScalarValue]) -> bool {
    let values = values.iter().copied();
    match column {
        _ if values.len() > VALUES => false,
        "target" => fill(&mut scope.targets, values.map(words).collect()),
        "country" => fill(&mut scope.countries, values.map(words).collect()),
        "asn" => fill(&mut scope.asns, values.map(number).collect()),
        _ => false,
    }
}

fn fill<T>(place: &mut Option<Vec<T>>, values: Option<Vec<T>>) -> bool {
    match values {
        Some(values) => {
            place.get_or_insert(values);
            true
        }
        None => false,
    }
}

fn words(value: &ScalarValue) -> Option<String> {
    value.try_as_str().flatten().map(str::to_owned)
}

fn number(value: &ScalarValue) -> Option<u32> {
    if let ScalarValue::Int64(Some(number)) = value { u32::try_from(*number).ok() } else { None }
}

fn moment(value: &ScalarValue) -> Option<Timestamp> {
    if let ScalarValue::TimestampMillisecond(Some(ms), _) = value {
        Some(Timestamp::from_millisecond(*ms))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn at(ms: i64) -> Expr {
        Expr::Literal(ScalarValue::TimestampMillisecond(Some(ms), Some("UTC".into())), None)
    }

    #[test]
    fn time_network_and_target_are_handed_on() {
        let filters = [
            col("started_at").gt_eq(at(5)),
            at(9).gt(col("started_at")),
            col("started_at").gt(at(3)),
            col("asn").eq(lit(64500_i64)),
            col("country").eq(lit("PK")).or(col("country").in_list(vec![lit("IN")], false)),
            col("target").eq(lit("x/web")).and(col("state").eq(lit("blocked"))),
        ];
        let expected = Scope {
            run: None,
            from: Some(Timestamp::from_millisecond(5)),
            until: Some(Timestamp::from_millisecond(9)),
            asns: Some(vec![64500]),
            countries: Some(vec!["PK".into(), "IN".into()]),
            targets: Some(vec!["x/web".into()]),
        };
        assert_eq!(scope(&filters), expected);
    }

    #[test]
    fn what_files_cannot_be_asked_for_narrows_nothing() {
        let filters = [
            col("country").not_eq(lit("PK")),
            col("country").in_list(vec![lit("PK")], true),
            col("country").in_list(vec![col("target")], false),
            col("target").eq(lit("a")).or(col("state").eq(lit("ok"))),
            col("target").eq(lit("a")).or(col("country").eq(lit("PK"))),
            lit("PK").eq(lit("PK")),
            col("asn").eq(lit(-1_i64)),
            col("asn").gt(lit(5_i64)),
            col("state").eq(lit("ok")),
        ];
        assert_eq!(scope(&filters), Scope::default());
        let every = support(&filters.iter().collect::<Vec<_>>());
        assert!(every.iter().all(|support| *support == TableProviderFilterPushDown::Unsupported));
    }

    #[test]
    fn two_lists_for_one_column_leave_the_first_and_the_second_look() {
        let filters = [col("country").eq(lit("PK")), col("country").eq(lit("IN"))];
        assert_eq!(scope(&filters).countries, Some(vec!["PK".into()]));
    }
}
