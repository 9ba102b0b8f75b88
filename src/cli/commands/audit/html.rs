//! The page of `audit report`: one file, no script, nothing from elsewhere.
//!
//! Owns its look, on a screen and on paper. Every text of a record goes through [`safe`]: it
//! may say anything, and the page obeys none of it. Called by `report`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::audit::timestamp::Ts;
use crate::cli::commands::audit::figures::{Counts, Report, Row};
use crate::model::text::visible;

/// Bars of the chart.
const BARS: u64 = 60;
const WIDTH: u64 = 900;
const HEIGHT: u64 = 160;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1f23;--paper:#fff;--line:#d5d9de;--soft:#6a737d;--good:#2b7a4b;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--paper:#16191c;--line:#33393f;--soft:#9aa3ab;--good:#5bb782;--bad:#f2776e}}
*{box-sizing:border-box}body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:960px;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{margin:.3rem 0;color:var(--soft)}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem;margin:1.2rem 0}.tile{border:1px solid var(--line);border-radius:6px;padding:.5rem .8rem;min-width:7.5rem}
.tile b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:.85rem}.bad b{color:var(--bad)}
table{border-collapse:collapse;width:100%;font-size:.9rem}th{text-align:left;color:var(--soft);font-weight:600}
th,td{padding:.25rem .5rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere;vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}svg{width:100%;height:auto}
.ok{fill:var(--good)}.no{fill:var(--bad)}text{fill:var(--soft);font-size:11px}
@media print{body{margin:0;max-width:none;font-size:11px;color:#000;background:#fff}h2{break-after:avoid}tr{break-inside:avoid}.tile{border-color:#999}}";

/// A text of a record, which shows and does nothing.
fn safe(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub(crate) fn page(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>mcp-ssh-orchestrator: audit report</title>\n<style>{STYLE}</style></head><body>\n\
         <h1>Audit report</h1>\n"
    );
    let moment =
        |at: Option<Ts>| at.map_or("–".to_owned(), |at| at.iso().replace("+0000", " UTC"));
    let _ = writeln!(
        out,
        "<p>{} to {}; {} records of {} server starts. Made by mcp-ssh-orchestrator {}.</p>",
        moment(report.first),
        moment(report.last),
        report.records,
        report.servers,
        env!("CARGO_PKG_VERSION")
    );
    if report.damaged > 0 {
        let _ = writeln!(
            out,
            "<p class=\"bad\"><b>{} lines are not as they were written: see audit verify.</b></p>",
            report.damaged
        );
    }
    tiles(&mut out, report);
    chart(&mut out, report);
    hosts(&mut out, &report.hosts);
    counted(&mut out, "By rule", "Rule that allowed", &report.rules);
    counted(&mut out, "Denials", "Reason", &report.codes);
    counted(
        &mut out,
        "Clients",
        "What the client calls itself",
        &report.clients,
    );
    rows(&mut out, "Slowest", &report.slowest, true);
    rows(
        &mut out,
        "Failures, the last of them",
        &report.failures,
        true,
    );
    rows(
        &mut out,
        "Security events, the last of them",
        &report.events,
        false,
    );
    rows(
        &mut out,
        "Approvals, the last of them",
        &report.approvals,
        false,
    );
    out.push_str("</body></html>\n");
    out
}

fn tiles(out: &mut String, report: &Report) {
    let total = &report.total;
    let tiles = [
        ("commands allowed", total.allowed, false),
        ("denied", total.denied, total.denied > 0),
        ("failed", total.failed, total.failed > 0),
        ("timed out", total.timeouts, total.timeouts > 0),
        ("cancelled", total.cancelled, false),
        ("interrupted", total.interrupted, total.interrupted > 0),
        (
            "security events",
            report.event_count,
            report.event_count > 0,
        ),
        ("approvals", report.approval_count, false),
        ("looked only", report.looked, false),
    ];
    out.push_str("<div class=\"tiles\">");
    for (name, count, bad) in tiles {
        let class = if bad { "tile bad" } else { "tile" };
        let _ = write!(
            out,
            "<div class=\"{class}\"><b>{count}</b><span>{name}</span></div>"
        );
    }
    out.push_str("</div>\n");
}

/// Commands and denials over time, stacked.
fn chart(out: &mut String, report: &Report) {
    let (Some((first, _)), Some((last, _))) = (
        report.minutes.first_key_value(),
        report.minutes.last_key_value(),
    ) else {
        return;
    };
    let step = ((last - first) / BARS + 1).max(1);
    let mut bars: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (minute, (allowed, denied)) in &report.minutes {
        let bar = bars.entry((minute - first) / step).or_default();
        bar.0 += allowed;
        bar.1 += denied;
    }
    let most = bars.values().map(|(a, d)| a + d).max().unwrap_or(1).max(1);
    let count = (last - first) / step + 1;
    let width = (WIDTH / count).clamp(2, 60);
    let _ = write!(
        out,
        "<h2>Over time</h2><p>Commands allowed (green) and denied (red), {} a bar; the highest has {most}.</p>\n\
         <svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"Commands and denials over time\">\n",
        span(step),
        HEIGHT + 18
    );
    for (place, (allowed, denied)) in bars {
        let x = place * width;
        let tall = |value: u64| value * HEIGHT / most;
        let (a, d) = (tall(allowed), tall(denied));
        let wide = width.saturating_sub(1).max(1);
        let begin = Ts::from_micros((first + place * step) * 60_000_000).iso();
        let title = format!("{begin}: {allowed} allowed, {denied} denied");
        let _ = writeln!(
            out,
            "<g><title>{}</title><rect class=\"ok\" x=\"{x}\" y=\"{}\" width=\"{wide}\" height=\"{a}\"/>\
             <rect class=\"no\" x=\"{x}\" y=\"{}\" width=\"{wide}\" height=\"{d}\"/></g>",
            safe(&title),
            HEIGHT - a,
            (HEIGHT - a).saturating_sub(d)
        );
    }
    let at = |minute: u64| {
        Ts::from_micros(minute * 60_000_000)
            .iso()
            .replace("+0000", "")
    };
    let _ = writeln!(
        out,
        "<text x=\"0\" y=\"{0}\">{1}</text><text x=\"{WIDTH}\" y=\"{0}\" text-anchor=\"end\">{2}</text></svg>",
        HEIGHT + 14,
        at(*first),
        at(*last)
    );
}

fn span(minutes: u64) -> String {
    match minutes {
        1 => "one minute".to_owned(),
        2..60 => format!("{minutes} minutes"),
        60..1_440 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    }
}

fn hosts(out: &mut String, hosts: &BTreeMap<String, Counts>) {
    if hosts.is_empty() {
        return;
    }
    out.push_str(
        "<h2>By host</h2><table><tr><th>Host</th><th class=\"n\">allowed</th><th class=\"n\">denied</th>\
         <th class=\"n\">failed</th><th class=\"n\">timed out</th><th class=\"n\">mean</th><th class=\"n\">longest</th></tr>\n",
    );
    for (alias, counts) in hosts {
        let mean = counts.milliseconds / counts.ended.max(1);
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            safe(alias),
            counts.allowed,
            counts.denied,
            counts.failed,
            counts.timeouts,
            time(mean),
            time(counts.longest)
        );
    }
    out.push_str("</table>\n");
}

fn counted(out: &mut String, title: &str, what: &str, counts: &BTreeMap<String, u64>) {
    if counts.is_empty() {
        return;
    }
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let _ = writeln!(
        out,
        "<h2>{title}</h2><table><tr><th>{what}</th><th class=\"n\">times</th></tr>"
    );
    for (name, count) in sorted {
        let name = if name.is_empty() { "not said" } else { name };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{count}</td></tr>",
            safe(name)
        );
    }
    out.push_str("</table>\n");
}

fn rows(out: &mut String, title: &str, rows: &[Row], timed: bool) {
    if rows.is_empty() {
        return;
    }
    let head = if timed {
        "<th class=\"n\">took</th>"
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "<h2>{title}</h2><table><tr><th>When</th><th>Host</th><th>What</th>{head}</tr>"
    );
    for row in rows {
        let took = match timed {
            true => format!("<td class=\"n\">{}</td>", time(row.milliseconds)),
            false => String::new(),
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td>{took}</tr>",
            row.at.iso().replace("+0000", ""),
            safe(&row.alias),
            safe(&row.what)
        );
    }
    out.push_str("</table>\n");
}

fn time(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds % 60_000 / 1_000
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_record_is_obeyed() {
        let text = safe("<script>\u{1b}[2J\"'&\u{202e}");
        assert!(
            !text.contains(['<', '>', '"', '\'', '\u{1b}', '\u{202e}']),
            "{text}"
        );
    }
}
