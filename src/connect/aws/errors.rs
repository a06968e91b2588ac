//! Why a call to AWS gave nothing, in sentences without account numbers, ARNs or keys.

use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AwsError {
    #[error("AWS found no credentials: set AWS_PROFILE, or run `aws sso login`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")]
    NoCredentials,
    #[error("AWS did not take the credentials ({code}): sign in again, for example with `aws sso login`.")]
    BadCredentials { code: String },
    #[error("AWS refused {action} ({code}).")]
    Denied { action: &'static str, code: String },
    #[error("{action} found nothing there ({code}).")]
    NotFound { action: &'static str, code: String },
    #[error("AWS throttled {action} ({code}).")]
    Throttled { action: &'static str, code: String },
    #[error("AWS did not answer {action} within {limit_ms} ms.")]
    TimedOut { action: &'static str, limit_ms: u32 },
    #[error("AWS could not be reached: {0}.")]
    Unreachable(String),
    #[error("AWS' answer to {action} could not be read: {why}.")]
    Unreadable { action: &'static str, why: String },
    #[error("{action} failed with {code}.")]
    Failed { action: &'static str, code: String },
}

/// The IAM action that was refused, if that is what happened.
pub fn refused_action(e: &AwsError) -> Option<&'static str> {
    if let AwsError::Denied { action, .. } = e { Some(action) } else { None }
}

/// Sorts a failed call. AWS' own sentences name the caller's account and role, so only its code is kept.
pub fn trouble<E, R>(action: &'static str, limit_ms: u32, error: &SdkError<E, R>) -> AwsError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: HttpStatus + std::fmt::Debug,
{
    match error {
        SdkError::TimeoutError(_) => AwsError::TimedOut { action, limit_ms },
        SdkError::DispatchFailure(e) if e.is_timeout() => AwsError::TimedOut { action, limit_ms },
        SdkError::DispatchFailure(e) if e.is_io() => AwsError::Unreachable(innermost(e.as_connector_error())),
        SdkError::DispatchFailure(e) => match e.as_connector_error() {
            Some(inner) if !is_about_credentials(inner) => AwsError::Unreachable(innermost(Some(inner))),
            _ => AwsError::NoCredentials,
        },
        // Credentials that cannot be found end the call before it is sent.
        SdkError::ConstructionFailure(_) => AwsError::NoCredentials,
        SdkError::ServiceError(service) => by_code(action, service.err().code(), service.raw().status()),
        SdkError::ResponseError(e) => AwsError::Unreadable { action, why: format!("HTTP {}", e.raw().status()) },
        _ => AwsError::Unreadable { action, why: "an answer of an unknown kind".to_owned() },
    }
}

/// The status of whatever stands for the raw answer.
pub trait HttpStatus {
    fn status(&self) -> u16;
}

impl HttpStatus for aws_sdk_cloudfront::config::http::HttpResponse {
    fn status(&self) -> u16 {
        self.status().as_u16()
    }
}

fn by_code(action: &'static str, code: Option<&str>, status: u16) -> AwsError {
    // HEAD answers have no body and so no code.
    let code = code.map_or_else(|| format!("HTTP {status}"), plain);
    match code.as_str() {
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "AuthFailure"
        | "TokenRefreshRequired"
        | "IncompleteSignature" => AwsError::BadCredentials { code },
        "Throttling" | "ThrottlingException" | "TooManyRequestsException" | "SlowDown" | "RequestLimitExceeded" => {
            AwsError::Throttled { action, code }
        }
        c if c.contains("AccessDenied") || c.contains("Unauthorized") || c == "Forbidden" => AwsError::Denied { action, code },
        c if c.starts_with("NoSuch") || c == "NotFound" => AwsError::NotFound { action, code },
        _ if matches!(status, 401 | 403) => AwsError::Denied { action, code },
        _ if status == 404 => AwsError::NotFound { action, code },
        _ if status == 429 => AwsError::Throttled { action, code },
        _ => AwsError::Failed { action, code },
    }
}

/// Longer codes than any of AWS' are not shown.
const CODE_CHARS_MAX: usize = 60;

fn plain(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':')).take(CODE_CHARS_MAX).collect()
}

fn is_about_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if e.to_string().to_ascii_lowercase().contains("credential") {
            return true;
        }
        cause = e.source();
    }
    false
}

fn innermost<E: std::error::Error + 'static>(error: Option<&E>) -> String {
    let Some(error) = error else { return "no connection".to_owned() };
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text: String = cause.to_string().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    crate::secret::redact(text.trim().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted() {
        let sort = |code: &str, status| by_code("s3:ListBucket", Some(code), status);
        assert!(matches!(sort("AccessDenied", 403), AwsError::Denied { .. }));
        assert!(matches!(sort("AccessDeniedException", 400), AwsError::Denied { .. }));
        assert!(matches!(sort("ExpiredToken", 400), AwsError::BadCredentials { .. }));
        assert!(matches!(sort("NoSuchMonitoringSubscription", 404), AwsError::NotFound { .. }));
        assert!(matches!(sort("SlowDown", 503), AwsError::Throttled { .. }));
        assert!(matches!(sort("InternalError", 500), AwsError::Failed { .. }));
        assert!(matches!(by_code("s3:GetObject", None, 403), AwsError::Denied { .. }));
        assert!(matches!(by_code("s3:GetObject", None, 404), AwsError::NotFound { .. }));
        assert_eq!(refused_action(&sort("AccessDenied", 403)), Some("s3:ListBucket"));
    }

    #[test]
    fn no_sentence_of_aws_gets_through() {
        let e = by_code("cloudfront:ListDistributions", Some("User: arn:aws:iam::123456789012:user/x is not authorized"), 403);
        assert!(!e.to_string().contains("arn:aws:iam::123456789012:user/x"), "{e}");
    }
}
