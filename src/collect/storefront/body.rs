//! Bodies as text, whatever they are packed with.

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::client::Fetched;

/// Bytes of a body, unpacked, that are read: a bomb must not fill memory, and links of a longer page are found in its beginning.
const TEXT_BYTES_MAX: u64 = 2_000_000;

/// The body as text. What was unpacked before an error still holds links.
pub async fn text_of(fetched: &Fetched) -> String {
    let encoding = fetched.answer.header("content-encoding");
    let plain = unpacked(encoding.as_deref().map_or("", str::trim), &fetched.body).await;
    String::from_utf8_lossy(&plain).into_owned()
}

async fn unpacked(encoding: &str, body: &[u8]) -> Vec<u8> {
    let reader: Box<dyn AsyncRead + Unpin + Send + '_> = match encoding.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Box::new(GzipDecoder::new(body)),
        "br" => Box::new(BrotliDecoder::new(body)),
        "zstd" => Box::new(ZstdDecoder::new(body)),
        _ => Box::new(body),
    };
    let mut plain = Vec::new();
    let _ = reader.take(TEXT_BYTES_MAX).read_to_end(&mut plain).await;
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder};

    async fn all(mut reader: impl AsyncRead + Unpin) -> Vec<u8> {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).await.unwrap();
        out
    }

    #[tokio::test]
    async fn every_encoding_that_is_offered_is_read() {
        let page = b"<a href=\"/us/products/shirt\">Shirt</a>".as_slice();
        let packed =
            [("gzip", all(GzipEncoder::new(page)).await), ("br", all(BrotliEncoder::new(page)).await), ("zstd", all(ZstdEncoder::new(page)).await)];
        for (encoding, body) in packed {
            assert_ne!(body, page, "{encoding}");
            assert_eq!(unpacked(encoding, &body).await, page, "{encoding}");
            assert!(unpacked(encoding, &body[..body.len() / 2]).await.len() < page.len(), "{encoding}, cut");
            assert!(unpacked(encoding, b"no such thing").await.is_empty(), "{encoding}, garbage");
        }
        assert_eq!(unpacked("", page).await, page);
    }

    #[tokio::test]
    async fn a_bomb_ends_at_the_limit() {
        let zeros = vec![0u8; 3_000_000];
        for (encoding, body) in [("gzip", all(GzipEncoder::new(zeros.as_slice())).await), ("br", all(BrotliEncoder::new(zeros.as_slice())).await)] {
            assert_eq!(unpacked(encoding, &body).await.len() as u64, TEXT_BYTES_MAX, "{encoding}");
        }
    }
}
