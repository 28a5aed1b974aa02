//! The solver: ridge logistic regression of three classes within a box, convex and with one solution.
//!
//! p(class) is prior × 10^(Σ share × weight). What is minimised is the mean of -ln p(true class), weighted by case, and
//! `ridge` times the squared distance of the weights from where they start. Weights stay between their bounds.

/// Classes: blocked, down, ok.
pub const CLASSES: usize = 3;
/// Steps at most, and the length of a step at which it is done.
const STEPS: usize = 3_000;
const DONE: f64 = 1e-7;

/// One case.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Which rules count, by their place, and how much.
    pub shares: Vec<(usize, f64)>,
    /// The true class.
    pub truth: usize,
    /// How much the case counts; all together 1.
    pub mass: f64,
}

/// What is fitted.
#[derive(Clone, Debug)]
pub struct Problem {
    /// log10 of the prior.
    pub prior: [f64; CLASSES],
    /// Where the weights start and are drawn to, log10 likelihoods by rule.
    pub start: Vec<[f64; CLASSES]>,
    /// Bounds; a weight between equal ones is not fitted.
    pub bounds: Vec<[(f64, f64); CLASSES]>,
    /// How strongly they are drawn.
    pub ridge: f64,
}

/// The probabilities of the classes of a case.
pub fn probabilities(prior: [f64; CLASSES], weights: &[[f64; CLASSES]], shares: &[(usize, f64)]) -> [f64; CLASSES] {
    let mut sums = prior;
    for &(rule, share) in shares {
        for (sum, weight) in sums.iter_mut().zip(weights[rule]) {
            *sum += share * weight;
        }
    }
    let largest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let masses = sums.map(|sum| 10_f64.powf(sum - largest));
    let all: f64 = masses.iter().sum();
    masses.map(|mass| mass / all)
}

impl Problem {
    /// The weights that minimise the loss over these cases: accelerated projected gradients with restarts (Nesterov 1983;
    /// O'Donoghue and Candès 2015), steps halved until they descend enough.
    pub fn solve(&self, cases: &[Case]) -> Vec<[f64; CLASSES]> {
        let mut at = self.within(self.start.clone());
        let (mut ahead, mut momentum, mut step) = (at.clone(), 1.0_f64, 1.0_f64);
        for _ in 0..STEPS {
            let (loss, gradient) = self.loss_and_gradient(&ahead, cases);
            let next = loop {
                let next = self.within(moved(&ahead, &gradient, -step));
                let change = moved(&next, &ahead, -1.0);
                let bound = loss + dot(&gradient, &change) + dot(&change, &change) / (2.0 * step);
                if self.loss(&next, cases) <= bound + 1e-15 || step < 1e-12 {
                    break next;
                }
                step /= 2.0;
            };
            let change = moved(&next, &at, -1.0);
            let is_overshot = dot(&moved(&ahead, &next, -1.0), &change) > 0.0;
            let later = if is_overshot { 1.0 } else { f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt()) };
            let push = if is_overshot { 0.0 } else { (momentum - 1.0) / later };
            ahead = moved(&next, &change, push);
            let is_done = dot(&change, &change).sqrt() < DONE && !is_overshot;
            (at, momentum, step) = (next, later, step * 1.2);
            if is_done {
                break;
            }
        }
        at
    }

    /// What is minimised.
    pub fn loss(&self, weights: &[[f64; CLASSES]], cases: &[Case]) -> f64 {
        let drawn = moved(weights, &self.start, -1.0);
        let each = cases.iter().map(|case| -case.mass * self.of(weights, case)[case.truth].max(f64::MIN_POSITIVE).ln());
        each.sum::<f64>() + self.ridge * dot(&drawn, &drawn)
    }

    fn of(&self, weights: &[[f64; CLASSES]], case: &Case) -> [f64; CLASSES] {
        probabilities(self.prior, weights, &case.shares)
    }

    fn loss_and_gradient(&self, weights: &[[f64; CLASSES]], cases: &[Case]) -> (f64, Vec<[f64; CLASSES]>) {
        let drawn = moved(weights, &self.start, -1.0);
        let mut gradient: Vec<[f64; CLASSES]> =
            drawn.iter().map(|row| row.map(|value| 2.0 * self.ridge * value)).collect();
        for case in cases {
            let p = self.of(weights, case);
            for &(rule, share) in &case.shares {
                for class in 0..CLASSES {
                    let missed = p[class] - f64::from(u8::from(class == case.truth));
                    gradient[rule][class] += case.mass * share * missed * std::f64::consts::LN_10;
                }
            }
        }
        (self.loss(weights, cases), gradient)
    }

    fn within(&self, mut weights: Vec<[f64; CLASSES]>) -> Vec<[f64; CLASSES]> {
        for (row, bounds) in weights.iter_mut().zip(&self.bounds) {
            for (weight, (low, high)) in row.iter_mut().zip(bounds) {
                *weight = weight.clamp(*low, *high);
            }
        }
        weights
    }
}

/// `a + scale × b`.
fn moved(a: &[[f64; CLASSES]], b: &[[f64; CLASSES]], scale: f64) -> Vec<[f64; CLASSES]> {
    let add = |(a, b): (&[f64; CLASSES], &[f64; CLASSES])| [0, 1, 2].map(|class| a[class] + scale * b[class]);
    a.iter().zip(b).map(add).collect()
}

fn dot(a: &[[f64; CLASSES]], b: &[[f64; CLASSES]]) -> f64 {
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One rule; `blocked` is the only weight that is fitted, within these bounds.
    fn one(ridge: f64, bounds: (f64, f64)) -> Problem {
        Problem {
            prior: [-1.0, -1.0, 0.0],
            start: vec![[0.0; 3]],
            bounds: vec![[bounds, (0.0, 0.0), (0.0, 0.0)]],
            ridge,
        }
    }

    /// The rule fired in so many blocked and so many other cases.
    fn cases(blocked: usize, ok: usize) -> Vec<Case> {
        let mass = 1.0 / f64::from(u32::try_from(blocked + ok).unwrap());
        let case = |truth| Case { shares: vec![(0, 1.0)], truth, mass };
        std::iter::repeat_n(case(0), blocked).chain(std::iter::repeat_n(case(2), ok)).collect()
    }

    #[test]
    fn without_a_ridge_the_weight_is_the_logarithm_of_the_odds() {
        // p(blocked) = 10^(w - 1) / (10^(w - 1) + 10^-1 + 1) = 3/4, so that 10^(w - 1) = 3 × 1.1.
        let weights = one(0.0, (-5.0, 5.0)).solve(&cases(3, 1));
        assert!((weights[0][0] - (3.3_f64.log10() + 1.0)).abs() < 1e-4, "{weights:?}");
    }

    #[test]
    fn with_a_ridge_it_is_where_pull_and_loss_are_in_balance() {
        // Found without the solver: the derivative is halved down to nothing.
        let (ridge, cases) = (0.05, cases(8, 2));
        let slope = |w: f64| {
            let p = 10_f64.powf(w - 1.0) / (10_f64.powf(w - 1.0) + 1.1);
            (p - 0.8) * std::f64::consts::LN_10 + 2.0 * ridge * w
        };
        let (mut low, mut high) = (-5.0, 5.0);
        while high - low > 1e-12 {
            let middle = f64::midpoint(low, high);
            if slope(middle) < 0.0 { low = middle } else { high = middle }
        }
        let weights = one(ridge, (-5.0, 5.0)).solve(&cases);
        assert!((weights[0][0] - low).abs() < 1e-4, "{weights:?}, not {low}");
    }

    #[test]
    fn a_weight_stays_in_its_box_and_one_in_a_point_stays_there() {
        let weights = one(0.0, (-4.0, 0.5)).solve(&cases(3, 1));
        assert!((weights[0][0] - 0.5).abs() < 1e-12);
        assert!(weights[0][1].abs() < 1e-12 && weights[0][2].abs() < 1e-12);
    }

    #[test]
    fn a_strong_ridge_leaves_everything_where_it_is() {
        let weights = one(1e4, (-5.0, 5.0)).solve(&cases(9, 1));
        assert!(weights[0][0].abs() < 1e-3);
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let problem = Problem {
            prior: [-1.0, -0.7, -0.1],
            start: vec![[0.0, -1.0, -2.0], [-0.5, 0.0, -1.0]],
            bounds: vec![[(-9.0, 9.0); 3]; 2],
            ridge: 0.3,
        };
        let cases = [
            Case { shares: vec![(0, 1.0), (1, 0.5)], truth: 0, mass: 0.4 },
            Case { shares: vec![(1, 1.0)], truth: 1, mass: 0.6 },
        ];
        let at = vec![[0.3, -0.9, -1.0], [0.1, 0.2, -0.4]];
        let (_, gradient) = problem.loss_and_gradient(&at, &cases);
        for rule in 0..2 {
            for class in 0..3 {
                let nudged = |by: f64| {
                    let mut weights = at.clone();
                    weights[rule][class] += by;
                    problem.loss(&weights, &cases)
                };
                let slope = (nudged(1e-5) - nudged(-1e-5)) / 2e-5;
                assert!((slope - gradient[rule][class]).abs() < 1e-6, "{rule} {class}");
            }
        }
    }
}
