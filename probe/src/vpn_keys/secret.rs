//! Octets that nobody is to see.

use std::fmt;

/// A secret: its `Debug` hides it, it has no `Display`, and it cannot be serialized.
#[derive(Clone)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes octets out of sight.
    pub fn new(octets: [u8; N]) -> Self {
        Self(octets)
    }

    /// The octets, for a cipher.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl Secret<32> {
    /// A new one.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The same, of any length.
#[derive(Clone)]
pub struct SecretOctets(Vec<u8>);

impl SecretOctets {
    /// Takes octets out of sight.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    /// The octets, for a message.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretOctets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        assert_eq!(format!("{:?} {:#?}", Secret::new([65; 4]), Some(Secret::random())).matches("65").count(), 0);
        assert!(!format!("{:?}", SecretOctets::new(vec![65; 4])).contains("65"));
    }
}
