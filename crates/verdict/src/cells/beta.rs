//! The beta distribution: how sure a share is that rests on few voices.

/// How near a quantile is to the true one.
const NEAR: f64 = 1e-9;
/// A factor so near 1 changes nothing more.
const SETTLED: f64 = 1e-14;
/// Terms of the continued fraction, of which some thirty are used.
const TERMS: u32 = 300;

/// Lanczos coefficients for g = 7 (Lanczos 1964; Godfrey 2001), good to some 15 digits.
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

/// A beta distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// What speaks for, above 0.
    pub a: f64,
    /// What speaks against, above 0.
    pub b: f64,
}

impl Beta {
    /// Its mean.
    pub fn mean(self) -> f64 {
        self.a / (self.a + self.b)
    }

    /// The probability of a value up to x: the regularised incomplete beta function (NIST DLMF, 8.17).
    pub fn up_to(self, x: f64) -> f64 {
        if x <= 0.0 || x >= 1.0 {
            return if x <= 0.0 { 0.0 } else { 1.0 };
        }
        let (a, b) = (self.a, self.b);
        let front = (a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp();
        if x < (a + 1.0) / (a + b + 2.0) {
            front * fraction(a, b, x) / a
        } else {
            1.0 - front * fraction(b, a, 1.0 - x) / b
        }
    }

    /// The value below which it lies with that probability, by halving.
    pub fn quantile(self, p: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        while high - low > NEAR {
            let middle = f64::midpoint(low, high);
            if self.up_to(middle) < p { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    }
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guarded = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut below = 1.0 / guarded(1.0 - (a + b) * x / (a + 1.0));
    let (mut above, mut value) = (1.0, below);
    for term in 1..TERMS {
        let term = f64::from(term);
        let even = term * (b - term) * x / ((a + 2.0 * term - 1.0) * (a + 2.0 * term));
        let odd = -(a + term) * (a + b + term) * x / ((a + 2.0 * term) * (a + 2.0 * term + 1.0));
        let mut change = 1.0;
        for numerator in [even, odd] {
            below = 1.0 / guarded(1.0 + numerator * below);
            above = guarded(1.0 + numerator / above);
            change = above * below;
            value *= change;
        }
        if (change - 1.0).abs() < SETTLED {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function, of a number above 0 (Lanczos 1964).
fn ln_gamma(x: f64) -> f64 {
    if x < 0.5 {
        // Reflection (DLMF 5.5.3).
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let series = (1_u32..).zip(&LANCZOS[1..]).fold(LANCZOS[0], |sum, (n, term)| sum + term / (x + f64::from(n)));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, wanted: f64) {
        assert!((value - wanted).abs() < 1e-7, "{value}, not {wanted}");
    }

    #[test]
    fn probabilities_are_those_of_closed_forms() {
        // Beta(1, 1) is even; Beta(2, 3): 6x² - 8x³ + 3x⁴; Beta(1/2, 1/2): 2/π asin √x.
        near(Beta { a: 1.0, b: 1.0 }.up_to(0.3), 0.3);
        near(Beta { a: 2.0, b: 3.0 }.up_to(0.5), 0.687_5);
        near(Beta { a: 0.5, b: 0.5 }.up_to(0.2), 2.0 / std::f64::consts::PI * 0.2_f64.sqrt().asin());
        near(Beta { a: 5.0, b: 1.0 }.up_to(0.9), 0.9_f64.powi(5));
        near(Beta { a: 40.0, b: 1.0 }.up_to(0.95), 0.95_f64.powi(40));
    }

    #[test]
    fn a_quantile_is_where_the_probability_is_reached() {
        for (a, b) in [(0.5, 0.5), (1.0, 9.0), (3.3, 0.7), (200.0, 300.0)] {
            for p in [0.05, 0.5, 0.95] {
                let beta = Beta { a, b };
                near(beta.up_to(beta.quantile(p)), p);
            }
        }
        near(Beta { a: 2.0, b: 6.0 }.mean(), 0.25);
    }
}
