//! The CDN step: Cloudflare's zone and token, and CloudFront's distributions.

use eframe::egui::Ui;

use super::Form;
use super::draft::Input;
use super::grants;
use super::parts::{Way, env_file, folded, grant_card, heading, keep_secrets, note, rule, secret, set};
use crate::app::wizard::Field;
use crate::ui::theme::space;

pub fn show(ui: &mut Ui, form: &mut Form<'_>) {
    let wizard = form.wizard;
    if heading(ui, "Cloudflare", &[Way::Fields, Way::EnvFile]) == Way::EnvFile {
        env_file(ui, form);
    }
    set(ui, form, Field::Zone, Input { label: "Zone", hint: "example.com, or its 32-digit id", shown: &wizard.zone, ..Input::default() });
    ui.add_space(space::M);
    secret(ui, form, Field::Token, "API token", &wizard.token);
    ui.add_space(space::M);
    keep_secrets(ui, form, "Keep token");
    ui.add_space(space::L);
    grant_card(ui, "No token yet?", "The permissions to tick, all of them Read.", grants::CLOUDFLARE);
    ui.add_space(space::M);
    rule(ui);
    cloudfront(ui, form);
    ui.add_space(space::M);
    note(ui, "Another CDN in front? Leave this empty: the storefront's answers still show what it caches.");
}

/// A store may have both: Cloudflare in front of the shop, CloudFront in front of its media.
fn cloudfront(ui: &mut Ui, form: &mut Form<'_>) {
    let wizard = form.wizard;
    let summary = if wizard.cloudfront_profile().is_some() { wizard.distributions.as_str() } else { "not set up" };
    if !folded(ui, "CloudFront and S3", summary) {
        return;
    }
    ui.add_space(space::S);
    let hint = "E2QWRUHAPOMQZL, an alias, or all";
    set(ui, form, Field::Distributions, Input { label: "Distributions", hint, shown: &wizard.distributions, is_mono: true, ..Input::default() });
    ui.add_space(space::M);
    let hint = "AWS_PROFILE, or the default one";
    set(ui, form, Field::AwsProfile, Input { label: "AWS profile", hint, shown: &wizard.aws_profile, is_mono: true, ..Input::default() });
    ui.add_space(space::M);
    let hint = "eu-central-1, or the profile's own";
    set(ui, form, Field::AwsRegion, Input { label: "Region of the buckets", hint, shown: &wizard.aws_region, is_mono: true, ..Input::default() });
    ui.add_space(6.0);
    note(ui, "Credentials come from AWS' own chain: profiles, SSO, keys of the environment, roles. Nothing of them is kept here.");
    ui.add_space(space::M);
    grant_card(ui, "No role yet?", "A policy that reads settings, figures and object headers.", grants::AWS);
}
