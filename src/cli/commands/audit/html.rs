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
:root{color-scheme:light dark;--ink:#1c1f23;--paper:#fff;--line:#d5d9de;--soft:#5c656e;--good:#2b7a4b;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--paper:#16191c;--line:#33393f;--soft:#9aa3ab;--good:#5bb782;--bad:#f2776e}}
*{box-sizing:border-box}body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:960px;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{margin:.3rem 0;color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(5.6rem,1fr));gap:.5rem;margin:1.2rem 0}
.tile{border:1px solid var(--line);border-radius:6px;padding:.5rem .6rem}
.tile b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:.8rem;line-height:1.2;display:block}.bad b{color:var(--bad)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}th{text-align:left;color:var(--soft);font-weight:600}
th,td{padding:.25rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}td{overflow-wrap:anywhere;min-width:5.2rem}td.n{min-width:0}
td:first-child{min-width:9rem}td.c{min-width:11rem;font-family:ui-monospace,monospace;font-size:.82rem}
.n,.t{white-space:nowrap;font-variant-numeric:tabular-nums}.n{text-align:right}
svg{width:100%;height:160px;display:block}.axis{display:flex;justify-content:space-between;font-size:.8rem}.ok{fill:var(--good)}.no{fill:var(--bad)}
@page{margin:1.5cm}
@media print{:root{--ink:#000;--paper:#fff;--line:#bbb;--soft:#444;--good:#2b7a4b;--bad:#b3261e}
body{margin:0;max-width:none;padding:0;font-size:9pt}h2{break-after:avoid;margin-top:1.2rem}tr,.tile,svg{break-inside:avoid}thead{display:table-header-group}
.wide{overflow:visible}td,th{padding:.12rem .4rem}td:first-child{min-width:0}td.c{min-width:9rem}svg{height:3.2cm}}";

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
    let moment = |at: Option<Ts>| at.map_or("–".to_owned(), |at| format!("{} UTC", written(at)));
    let _ = writeln!(
        out,
        "<p>{} to {}; {} records, {} of the server. Made by mcp-ssh-orchestrator {}.</p>",
        moment(report.first),
        moment(report.last),
        report.records,
        plural(report.servers, "start"),
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
    let lists = [
        ("Denied, the last of them", &report.denials, false),
        ("Slowest", &report.slowest, true),
        ("Failures, the last of them", &report.failures, true),
        ("Security events, the last of them", &report.events, false),
        ("Approvals, the last of them", &report.approvals, false),
    ];
    for (title, list, timed) in lists {
        rows(&mut out, title, list, timed, &report.commands);
    }
    out.push_str("</body></html>\n");
    out
}

fn tiles(out: &mut String, report: &Report) {
    let total = &report.total;
    let tiles = [
        ("allowed", total.allowed, false),
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
    let step = step(last - first);
    let mut bars: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (minute, (allowed, denied)) in &report.minutes {
        let bar = bars.entry((minute - first) / step).or_default();
        bar.0 += allowed;
        bar.1 += denied;
    }
    let most = bars.values().map(|(a, d)| a + d).max().unwrap_or(1).max(1);
    let count = (last - first) / step + 1;
    let width = (WIDTH / count).clamp(2, 60);
    // Bars that fill half of the width may as well fill it.
    let across = match count * width {
        bars if bars * 2 < WIDTH => WIDTH,
        bars => bars,
    };
    let _ = write!(
        out,
        "<h2>Over time</h2><p>Commands allowed (green) and, on top of them, denied (red), {} a bar; the highest has {most}.</p>\n\
         <svg viewBox=\"0 0 {across} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Commands and denials over time\">\n",
        span(step)
    );
    for (place, (allowed, denied)) in bars {
        let x = place * width;
        let tall = |value: u64| value * HEIGHT / most;
        let (a, d) = (tall(allowed), tall(denied));
        let wide = width.saturating_sub(1).max(1);
        let begin = written(Ts::from_micros((first + place * step) * 60_000_000));
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
    let at = |minute: u64| written(Ts::from_micros(minute * 60_000_000));
    let _ = writeln!(
        out,
        "</svg><p class=\"axis\"><span>{}</span><span>{}</span></p>",
        at(*first),
        at(*last)
    );
}

/// Minutes of a bar, so that there are no more than [`BARS`]: of a length that people count by.
fn step(minutes: u64) -> u64 {
    const ROUND: [u64; 11] = [1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720];
    let least = minutes / BARS + 1;
    let round = ROUND.into_iter().find(|step| *step >= least);
    round.unwrap_or_else(|| least.div_ceil(1_440) * 1_440)
}

/// A moment as people read it, in UTC.
fn written(at: Ts) -> String {
    at.iso().replace("+0000", "").replace('T', " ")
}

fn plural(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn span(minutes: u64) -> String {
    match minutes {
        0..60 => plural(minutes, "minute"),
        60..1_440 => plural(minutes / 60, "hour"),
        _ => plural(minutes / 1_440, "day"),
    }
}

fn hosts(out: &mut String, hosts: &BTreeMap<String, Counts>) {
    if hosts.is_empty() {
        return;
    }
    out.push_str(
        "<h2>By host</h2><div class=\"wide\"><table><thead><tr><th>Host</th><th class=\"n\">allowed</th><th class=\"n\">denied</th>\
         <th class=\"n\">failed</th><th class=\"n\">timed out</th><th class=\"n\">mean</th><th class=\"n\">longest</th></tr></thead>\n",
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
    out.push_str("</table></div>\n");
}

fn counted(out: &mut String, title: &str, what: &str, counts: &BTreeMap<String, u64>) {
    if counts.is_empty() {
        return;
    }
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let _ = writeln!(
        out,
        "<h2>{title}</h2><div class=\"wide\"><table><thead><tr><th>{what}</th><th class=\"n\">times</th></tr></thead>"
    );
    for (name, count) in sorted {
        let name = if name.is_empty() { "not said" } else { name };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{count}</td></tr>",
            safe(name)
        );
    }
    out.push_str("</table></div>\n");
}

fn rows(
    out: &mut String,
    title: &str,
    rows: &[Row],
    timed: bool,
    commands: &BTreeMap<String, String>,
) {
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
        "<h2>{title}</h2><div class=\"wide\"><table><thead><tr><th>When</th><th>Host</th><th>What</th>\
         <th>Command</th>{head}</tr></thead>"
    );
    for row in rows {
        let took = match timed {
            true => format!("<td class=\"n\">{}</td>", time(row.milliseconds)),
            false => String::new(),
        };
        let command = commands.get(&row.hash).unwrap_or(&row.hash);
        let _ = writeln!(
            out,
            "<tr><td class=\"t\">{}</td><td>{}</td><td>{}</td><td class=\"c\">{}</td>{took}</tr>",
            written(row.at),
            safe(&row.alias),
            safe(&row.what),
            safe(command)
        );
    }
    out.push_str("</table></div>\n");
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
    fn bars_have_lengths_that_people_count_by() {
        for (minutes, bar) in [
            (0, "1 minute"),
            (59, "1 minute"),
            (60, "2 minutes"),
            (600, "15 minutes"),
            (5 * 1_440, "4 hours"),
            (30 * 1_440, "1 day"),
            (90 * 1_440, "2 days"),
        ] {
            let step = step(minutes);
            assert_eq!(span(step), bar, "{minutes}");
            assert!(minutes / step < BARS);
        }
    }

    #[test]
    fn nothing_of_a_record_is_obeyed() {
        let text = safe("<script>\u{1b}[2J\"'&\u{202e}");
        assert!(
            !text.contains(['<', '>', '"', '\'', '\u{1b}', '\u{202e}']),
            "{text}"
        );
    }
}
