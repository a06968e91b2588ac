//! What a run may ask: one limit of requests and one of bytes, with a part of both kept for the timed repeats of the store API.

/// Of the bytes of a run, kept for timed repeats: twenty lists of products of 100 kB are a tenth of the default.
const TIMED_BYTES_SHARE: f64 = 0.1;

/// Requests and bytes that are left. Those kept for timed repeats are given to nothing else.
#[derive(Debug)]
pub struct Budget {
    requests_max: u32,
    left: u32,
    kept: u32,
    bytes_max: u64,
    bytes: u64,
    refused: u32,
}

impl Budget {
    pub fn new(requests_max: u32, bytes_max: u64) -> Self {
        Self { requests_max, left: requests_max, kept: 0, bytes_max, bytes: 0, refused: 0 }
    }

    /// Requests that anything but a timed repeat may still take; 0 once the bytes are spent.
    pub fn left(&self) -> u32 {
        if self.is_full(false) { 0 } else { self.left }
    }

    /// Requests that timed repeats may still take.
    pub fn kept(&self) -> u32 {
        if self.is_full(true) { 0 } else { self.kept }
    }

    /// Keeps up to so many of the requests that are left for timed repeats.
    pub fn keep(&mut self, requests: u32) {
        let moved = requests.min(self.left);
        self.left -= moved;
        self.kept += moved;
    }

    /// Takes one request.
    ///
    /// # Errors
    /// A sentence that names the limit.
    pub fn take(&mut self, is_timed: bool) -> Result<(), String> {
        let is_full = self.is_full(is_timed);
        let pool = if is_timed { &mut self.kept } else { &mut self.left };
        if is_full || *pool == 0 {
            self.refused += 1;
            return Err(format!("The limit of {} was reached.", self.limit()));
        }
        *pool -= 1;
        Ok(())
    }

    /// Notes bytes received; whether no more may come.
    pub fn spend(&mut self, bytes: u64, is_timed: bool) -> bool {
        self.bytes += bytes;
        self.is_full(is_timed)
    }

    /// Which limit leaves least: "60 requests a run".
    pub fn limit(&self) -> String {
        if self.is_full(false) { format!("{} MB a run", self.bytes_max / 1_000_000) } else { format!("{} requests a run", self.requests_max) }
    }

    /// What the limits kept from being sent, as a sentence.
    pub fn met(&self) -> Option<String> {
        let requests = if self.refused == 1 { "1 request was".to_owned() } else { format!("{} requests were", self.refused) };
        (self.refused > 0).then(|| format!("The limit of {} was reached. {requests} not sent.", self.limit()))
    }

    fn is_full(&self, is_timed: bool) -> bool {
        let share = if is_timed || self.kept == 0 { 1.0 } else { 1.0 - TIMED_BYTES_SHARE };
        self.bytes as f64 >= self.bytes_max as f64 * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_for_timed_repeats_alone() {
        let mut budget = Budget::new(5, 1_000);
        budget.keep(2);
        assert_eq!((budget.left(), budget.kept()), (3, 2));
        assert!((0..3).all(|_| budget.take(false).is_ok()));
        assert_eq!(budget.take(false).unwrap_err(), "The limit of 5 requests a run was reached.");
        assert!((0..2).all(|_| budget.take(true).is_ok()));
        assert!(budget.take(true).is_err());
        assert_eq!(budget.met().unwrap(), "The limit of 5 requests a run was reached. 2 requests were not sent.");
        assert_eq!(Budget::new(1, 1).met(), None);
    }

    #[test]
    fn no_more_is_kept_than_is_left() {
        let mut budget = Budget::new(3, 1_000);
        budget.keep(7);
        assert_eq!((budget.left(), budget.kept()), (0, 3));
    }

    #[test]
    fn a_tenth_of_the_bytes_is_kept_with_them() {
        let mut budget = Budget::new(5, 1_000_000);
        budget.keep(2);
        assert!(!budget.spend(899_999, false));
        assert!(budget.spend(1, false));
        assert_eq!((budget.left(), budget.kept()), (0, 2));
        assert!(budget.take(false).unwrap_err().contains("1 MB") && budget.take(true).is_ok());
        assert!(!budget.spend(99_999, true) && budget.spend(1, true));
        assert_eq!(budget.kept(), 0);
    }
}
