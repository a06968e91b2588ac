"""Plants CloudFront distributions, metrics and buckets in an emulator of AWS: python aws.py ENDPOINT [--many | --pages]

Prints the ids of the distributions as NAME=ID lines. planted/aws-faults.csv and aws-traps.csv say what is meant.
With --many it plants nothing but a distribution before more buckets than an audit reads, with --pages one whose behaviours take pages
and files together.
"""

import datetime
import json
import sys

import botocore.session

ENDPOINT = sys.argv[1]
SESSION = botocore.session.get_session()


def client(service):
    return SESSION.create_client(
        service, region_name="us-east-1", endpoint_url=ENDPOINT, aws_access_key_id="test", aws_secret_access_key="test"
    )


CF, CW, S3 = client("cloudfront"), client("cloudwatch"), client("s3")
OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ORIGIN_HEADERS = "4cc15a8a-d715-48a4-82b8-cc0b614638fe"
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"


def listed(items):
    return {"Quantity": len(items), "Items": items} if items else {"Quantity": 0}


def policy(name, ttl, headers=None, cookies=("none", None), query=("none", None)):
    cookie_config = {"CookieBehavior": cookies[0]}
    if cookies[1]:
        cookie_config["Cookies"] = listed(cookies[1])
    query_config = {"QueryStringBehavior": query[0]}
    if query[1]:
        query_config["QueryStrings"] = listed(query[1])
    header_config = {"HeaderBehavior": "whitelist", "Headers": listed(headers)} if headers else {"HeaderBehavior": "none"}
    config = {
        "Name": name,
        "MinTTL": ttl[0],
        "DefaultTTL": ttl[1],
        "MaxTTL": ttl[2],
        "ParametersInCacheKeyAndForwardedToOrigin": {
            "EnableAcceptEncodingGzip": True,
            "EnableAcceptEncodingBrotli": True,
            "HeadersConfig": header_config,
            "CookiesConfig": cookie_config,
            "QueryStringsConfig": query_config,
        },
    }
    return CF.create_cache_policy(CachePolicyConfig=config)["CachePolicy"]["Id"]


def behaviour(pattern, origin, policy_id=None, legacy=None, post=False, request=None, response=None):
    methods = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"] if post else ["GET", "HEAD"]
    allowed = listed(methods)
    allowed["CachedMethods"] = listed(["GET", "HEAD"])
    b = {"TargetOriginId": origin, "ViewerProtocolPolicy": "redirect-to-https", "Compress": True, "AllowedMethods": allowed}
    if pattern:
        b["PathPattern"] = pattern
    if policy_id:
        b["CachePolicyId"] = policy_id
    if request:
        b["OriginRequestPolicyId"] = request
    if response:
        b["ResponseHeadersPolicyId"] = response
    if legacy:
        cookies, ttl, headers = (*legacy, [])[:3]
        b["ForwardedValues"] = {"QueryString": False, "Cookies": {"Forward": cookies}, "Headers": listed(headers)}
        b.update(MinTTL=ttl[0], DefaultTTL=ttl[1], MaxTTL=ttl[2])
    return b


def server(name, protocol):
    ports = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": protocol, "OriginSslProtocols": listed(["TLSv1.2"])}
    return {"Id": name, "DomainName": name + ".origin.example.com", "CustomOriginConfig": ports}


def bucket_origin(name, bucket, control=None):
    origin = {"Id": name, "DomainName": bucket + ".s3.us-east-1.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    if control:
        origin["OriginAccessControlId"] = control
    return origin


def website(name, bucket):
    origin = server(name, "http-only")
    origin["DomainName"] = bucket + ".s3-website-us-east-1.amazonaws.com"
    return origin


def distribution(name, origins, default, behaviours, enabled=True):
    config = {
        "CallerReference": name,
        "Comment": name,
        "Enabled": enabled,
        "HttpVersion": "http2and3",
        "IsIPV6Enabled": True,
        "Aliases": listed([name + ".example.com"]),
        "Origins": listed(origins),
        "DefaultCacheBehavior": default,
        "CacheBehaviors": listed(behaviours),
        "ViewerCertificate": {
            "ACMCertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/x",
            "SSLSupportMethod": "sni-only",
            "MinimumProtocolVersion": "TLSv1.2_2021",
        },
    }
    made = CF.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
    print(f"{name}={made}")
    return made


def subscribe(identity):
    status = {"RealtimeMetricsSubscriptionConfig": {"RealtimeMetricsSubscriptionStatus": "Enabled"}}
    CF.create_monitoring_subscription(DistributionId=identity, MonitoringSubscription=status)


def measure(identity, requests, hit_rate=None, rise=0):
    """A day by hour; `rise` more requests with each hour that it lies back."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
    dimensions = [{"Name": "DistributionId", "Value": identity}, {"Name": "Region", "Value": "Global"}]
    for hours in range(1, 24):
        asked = requests + rise * hours
        figures = {"Requests": asked, "BytesDownloaded": asked * 20_000, "4xxErrorRate": 0.4, "5xxErrorRate": 0.1}
        # Every third hour has no hit rate: missing, not zero.
        if hit_rate is not None and hours % 3:
            figures.update(CacheHitRate=hit_rate, OriginLatency=120)
        at = now - datetime.timedelta(hours=hours)
        data = [{"MetricName": n, "Dimensions": dimensions, "Timestamp": at, "Value": v} for n, v in figures.items()]
        CW.put_metric_data(Namespace="AWS/CloudFront", MetricData=data)


def bucket(name, objects, is_public=False, is_blocked=False):
    S3.create_bucket(Bucket=name)
    if is_public:
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
        S3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    if is_blocked:
        block = dict.fromkeys(["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"], True)
        S3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    for key, cache_control in objects:
        extra = {"CacheControl": cache_control} if cache_control else {}
        S3.put_object(Bucket=name, Key=key, Body=b"x" * 200, ContentType="image/jpeg", **extra)


def pictures(count, cache_control, folder="products"):
    return [(f"{folder}/sentinel-name-{n}.jpg", cache_control) for n in range(count)]


YEAR = "public, max-age=31536000"


def faults():
    bucket("shop-media", pictures(12, None), is_public=True)
    bucket("second-media", pictures(9, "no-store"), is_public=True)
    visitor = policy("by-visitor", [0, 60, 600], cookies=("whitelist", ["_medusa_cache_id"]))
    agent = policy("by-agent", [0, 60, 600], headers=["User-Agent"])
    nothing = policy("nothing", [0, 0, 0])
    shop = distribution(
        "shop",
        [server("storefront", "http-only"), bucket_origin("media", "shop-media")],
        behaviour(None, "storefront", DISABLED, post=True, request=ALL_VIEWER),
        [
            behaviour("/_next/static/*", "storefront", DISABLED, request=ALL_VIEWER),
            behaviour("/_next/image*", "storefront", ORIGIN_HEADERS),
            behaviour("/media/*", "media", legacy=("all", [0, 60, 600])),
            behaviour("/uploads/*", "storefront", legacy=("none", [0, 0, 0])),
            behaviour("/store/*", "storefront", legacy=("none", [0, 60, 600], ["Host", "Origin"]), post=True),
            behaviour("*.css", "storefront", visitor),
            behaviour("/fonts/*", "storefront", agent),
            behaviour("/images/*", "storefront", nothing),
        ],
    )
    measure(shop, 1_000)
    control = {"Name": "second", "SigningProtocol": "sigv4", "SigningBehavior": "always", "OriginAccessControlOriginType": "s3"}
    control = CF.create_origin_access_control(OriginAccessControlConfig=control)["OriginAccessControl"]["Id"]
    second = distribution("second", [bucket_origin("media", "second-media", control)], behaviour(None, "media", DISABLED), [])
    subscribe(second)
    measure(second, 2_000, hit_rate=30)
    return control


def traps(control):
    bucket("healthy-media", pictures(10, YEAR) + [("products/late.jpg", None)], is_blocked=True)
    bucket("policy-media", pictures(8, YEAR), is_public=True, is_blocked=True)
    bucket("bare-media", pictures(8, None), is_blocked=True)
    bucket("site", [("index.html", None)], is_public=True)
    image = policy("image", [0, 86400, 31536000], headers=["Accept"], query=("whitelist", ["url", "w", "q"]))
    but_visitor = policy("but-visitor", [0, 60, 600], cookies=("allExcept", ["_medusa_cache_id"]))
    by_host = policy("by-host", [0, 60, 600], headers=["Host"])
    second = policy("one-second", [0, 0, 1])
    headers = {"Name": "lifetime", "CustomHeadersConfig": listed([{"Header": "Cache-Control", "Value": YEAR, "Override": True}])}
    lifetime = CF.create_response_headers_policy(ResponseHeadersPolicyConfig=headers)["ResponseHeadersPolicy"]["Id"]
    healthy = distribution(
        "healthy",
        [
            server("storefront", "https-only"),
            server("follows", "match-viewer"),
            server("unused", "http-only"),
            bucket_origin("media", "healthy-media", control),
            bucket_origin("policy", "policy-media", control),
            bucket_origin("bare", "bare-media", control),
            website("site", "site"),
        ],
        behaviour(None, "storefront", DISABLED, post=True, request=ALL_VIEWER),
        [
            behaviour("/_next/data/*", "storefront", DISABLED),
            behaviour("/store/*", "storefront", DISABLED, post=True),
            behaviour("/*/cart*", "storefront", DISABLED, post=True),
            behaviour("/_next/static/*", "storefront", OPTIMIZED, request=ALL_VIEWER),
            behaviour("/_next/image*", "storefront", image),
            behaviour("/images/*", "storefront", but_visitor),
            behaviour("/assets/*", "storefront", by_host),
            behaviour("/static/*", "follows", second),
            behaviour("/media/*", "media", OPTIMIZED),
            behaviour("/public/*", "policy", OPTIMIZED),
            behaviour("/bare/*", "bare", OPTIMIZED, response=lifetime),
            behaviour("/old-site/*", "site", OPTIMIZED),
        ],
    )
    subscribe(healthy)
    measure(healthy, 1_000, hit_rate=93, rise=10)
    distribution(
        "disabled",
        [server("storefront", "http-only")],
        behaviour(None, "storefront", legacy=("all", [0, 0, 0]), post=True),
        [behaviour("/_next/static/*", "storefront", DISABLED)],
        enabled=False,
    )
    quiet = distribution("quiet", [server("storefront", "https-only")], behaviour(None, "storefront", OPTIMIZED), [])
    measure(quiet, 10)


def many(count):
    """One distribution before that many buckets that do not exist."""
    origins = [bucket_origin(f"media-{n:02}", f"many-media-{n:02}") for n in range(count)]
    distribution("many", origins, behaviour(None, "media-00", OPTIMIZED), [])


def pages():
    """Pages with every cookie in the key, and files below behaviours that take pages as well."""
    distribution(
        "pages",
        [server("storefront", "https-only")],
        behaviour(None, "storefront", DISABLED, post=True, request=ALL_VIEWER),
        [
            behaviour("/shop/*", "storefront", DISABLED, post=True, request=ALL_VIEWER),
            behaviour("/_next/*", "storefront", ORIGIN_HEADERS),
            behaviour("/us/*", "storefront", ORIGIN_HEADERS, post=True),
            behaviour("/eu/*", "storefront", legacy=("all", [0, 60, 600]), post=True),
        ],
    )


if "--many" in sys.argv:
    many(23)
elif "--pages" in sys.argv:
    pages()
else:
    traps(faults())
