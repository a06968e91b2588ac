//! `medusa-advisor grants`: the least privilege each service needs.

use super::{GrantService, output};
use crate::connect;

/// CloudFront, CloudWatch and bucket settings; nothing that changes anything, nothing that reads an object.
const AWS: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "MedusaAdvisorRead",
      "Effect": "Allow",
      "Action": [
        "cloudfront:GetDistribution",
        "cloudfront:GetDistributionConfig",
        "cloudfront:GetCachePolicy",
        "cloudfront:GetOriginRequestPolicy",
        "cloudfront:GetResponseHeadersPolicy",
        "cloudfront:GetMonitoringSubscription",
        "cloudfront:ListDistributions",
        "cloudfront:ListCachePolicies",
        "cloudfront:ListOriginRequestPolicies",
        "cloudwatch:GetMetricData",
        "s3:GetBucketLocation",
        "s3:GetBucketPolicyStatus",
        "s3:GetBucketPublicAccessBlock"
      ],
      "Resource": "*"
    }
  ]
}
"#;

pub fn print(service: GrantService) {
    output::print(match service {
        GrantService::Postgres => connect::postgres::GRANTS,
        GrantService::Redis => connect::redis::GRANTS,
        GrantService::Cloudflare => connect::cloudflare::GRANTS,
        GrantService::Aws => AWS,
    });
}
