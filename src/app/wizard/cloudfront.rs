//! CloudFront in the CDN step: distributions as they are typed.

use super::{Wizard, filled};
use crate::connect::profile::{ALL_DISTRIBUTIONS, CloudFrontProfile};

impl Wizard {
    /// CloudFront as typed; `None` where no distribution is named.
    pub fn cloudfront_profile(&self) -> Option<CloudFrontProfile> {
        let named = self.distributions.split([',', ' ', ';']).map(str::trim).filter(|d| !d.is_empty());
        let distributions: Vec<String> = named.map(str::to_owned).collect();
        let (aws_profile, region) = (filled(&self.aws_profile), filled(&self.aws_region));
        let endpoint = self.aws_endpoint.clone();
        (!distributions.is_empty()).then_some(CloudFrontProfile { distributions, aws_profile, region, endpoint })
    }

    pub(super) fn take_cloudfront(&mut self, profile: &CloudFrontProfile) {
        let all = || ALL_DISTRIBUTIONS.to_owned();
        self.distributions = if profile.distributions.is_empty() { all() } else { profile.distributions.join(", ") };
        self.aws_profile = profile.aws_profile.clone().unwrap_or_default();
        self.aws_region = profile.region.clone().unwrap_or_default();
        self.aws_endpoint.clone_from(&profile.endpoint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::wizard::Field;
    use crate::connect::profile::Limits;

    #[test]
    fn cloudfront_needs_a_distribution_and_survives_editing() {
        let mut w = Wizard::new(Limits::default(), true);
        w.set(Field::Name, "Example".into());
        w.set(Field::AwsProfile, "shop".into());
        assert_eq!(w.profile("x").unwrap().cloudfront, None);
        w.set(Field::Distributions, "E2QWRUHAPOMQZL, media.example.com".into());
        let mut profile = w.profile("x").unwrap();
        let cloudfront = profile.cloudfront.as_mut().unwrap();
        assert_eq!((cloudfront.distributions.len(), cloudfront.aws_profile.as_deref()), (2, Some("shop")));
        cloudfront.endpoint = Some("http://127.0.0.1:4566".into());
        assert_eq!(Wizard::edit(&profile, true).profile("x").unwrap(), profile);
    }
}
