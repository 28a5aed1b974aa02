//! Mechanisms: hierarchical precision and recall over ancestor sets, micro-averaged (Kiritchenko and others 2005; OONI's
//! ontology defines the score for its tree in the same way).

use std::collections::BTreeSet;

use serde::Serialize;

use super::row::Row;
use super::share::Share;

/// How well mechanisms are named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mechanisms {
    /// Nodes said that are true, of nodes said; each node with its ancestors.
    pub precision: Share,
    /// The same, where a node said below a leaf of the label is left out: a label may stop short of the leaf.
    pub precision_to_depth: Share,
    /// True nodes that were said, of true nodes.
    pub recall: Share,
    /// Of measurements whose label has mechanisms, those of which a mechanism of the same layer was said.
    pub layer: Share,
    /// Of the same, those of which a node of the label was said, or one below or above it that names more than the layer.
    pub prefix: Share,
    /// The same, of those whose label accepts no other cause than interference: where it can be known from there.
    pub prefix_knowable: Share,
}

impl Mechanisms {
    /// Over these rows.
    pub fn of(rows: &[&Row]) -> Self {
        let mut sums = Self::default();
        for row in rows {
            sums.add(&row.label.mechanisms, &row.said.mechanisms, row.label.shows_interference());
        }
        sums
    }

    fn add(&mut self, truth: &[String], said: &[String], is_knowable: bool) {
        let (true_nodes, said_nodes) = (closure(truth), closure(said));
        let is_right = |node: &&&str| true_nodes.contains(**node);
        let goes_deeper = |node: &str| truth.iter().any(|leaf| is_below(node, leaf));
        self.precision = plus(self.precision, Share::of(&said_nodes, is_right));
        let to_depth = said_nodes.iter().filter(|node| !goes_deeper(node));
        self.precision_to_depth = plus(self.precision_to_depth, Share::of(to_depth, is_right));
        self.recall = plus(self.recall, Share::of(&true_nodes, |node| said_nodes.contains(**node)));
        let mut said_layers = said_nodes.iter().filter(|node| !node.contains('.'));
        let is_layer_right = said_layers.any(|layer| true_nodes.contains(layer));
        if !truth.is_empty() {
            self.layer = plus(self.layer, Share { k: is_layer_right.into(), n: 1 });
            let is_prefix_right = said.iter().any(|node| truth.iter().any(|leaf| is_on_one_line(node, leaf)));
            let one = Share { k: is_prefix_right.into(), n: 1 };
            self.prefix = plus(self.prefix, one);
            if is_knowable {
                self.prefix_knowable = plus(self.prefix_knowable, one);
            }
        }
    }

    /// The harmonic mean of precision and recall.
    pub fn f1(&self) -> Option<f64> {
        let (precision, recall) = (self.precision.value()?, self.recall.value()?);
        (precision + recall > 0.0).then(|| 2.0 * precision * recall / (precision + recall))
    }
}

fn plus(a: Share, b: Share) -> Share {
    Share { k: a.k + b.k, n: a.n + b.n }
}

/// The nodes with all that are above them, without the root.
fn closure(nodes: &[String]) -> BTreeSet<&str> {
    nodes.iter().flat_map(|node| node.match_indices('.').map(|(end, _)| &node[..end]).chain([node.as_str()])).collect()
}

fn is_below(node: &str, above: &str) -> bool {
    node.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a node said is the label's, below it, or above it and more than its layer.
fn is_on_one_line(said: &str, truth: &str) -> bool {
    said == truth || is_below(said, truth) || (said.contains('.') && is_below(truth, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(truth: &[&str], said: &[&str]) -> Mechanisms {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut sums = Mechanisms::default();
        sums.add(&owned(truth), &owned(said), true);
        sums
    }

    #[test]
    fn a_sibling_shares_the_ancestors() {
        // {tls, tls.reset, tls.reset.sni} against {tls, tls.timeout}: one node in common.
        let sums = of(&["tls.reset.sni"], &["tls.timeout"]);
        assert_eq!((sums.precision, sums.recall), (Share { k: 1, n: 2 }, Share { k: 1, n: 3 }));
        assert_eq!((sums.layer, sums.f1()), (Share { k: 1, n: 1 }, Some(0.4)));
    }

    #[test]
    fn deeper_than_the_label_costs_precision_by_the_definition_and_not_to_its_depth() {
        let sums = of(&["tls.reset"], &["tls.reset.sni"]);
        assert_eq!(sums.precision, Share { k: 2, n: 3 });
        assert_eq!(sums.precision_to_depth, Share { k: 2, n: 2 });
    }

    #[test]
    fn a_prefix_is_the_node_or_on_one_line_with_it_and_not_its_layer_alone() {
        let right = |truth, said| of(&[truth], &[said]).prefix.k == 1;
        assert!(right("tls.reset.sni", "tls.reset.sni") && right("tls.reset.sni", "tls.reset"));
        assert!(right("tls.reset", "tls.reset.sni"));
        assert!(!right("tls.reset.sni", "tls") && !right("tls.reset.sni", "tls.timeout"));
    }

    #[test]
    fn a_mechanism_where_there_is_none_costs_precision_and_has_no_layer() {
        let sums = of(&[], &["dns.nxdomain"]);
        assert_eq!(
            (sums.precision, sums.recall, sums.layer),
            (Share { k: 0, n: 2 }, Share::default(), Share::default())
        );
        assert_eq!(of(&["dns.nxdomain"], &["tls.reset"]).layer, Share { k: 0, n: 1 });
    }

    #[test]
    fn what_cannot_be_known_from_there_is_counted_apart() {
        let mut sums = of(&["tcp.timeout"], &["tcp.timeout"]);
        sums.add(&["tls.throttle".to_owned()], &[], false);
        assert_eq!((sums.prefix, sums.prefix_knowable), (Share { k: 1, n: 2 }, Share { k: 1, n: 1 }));
    }
}
