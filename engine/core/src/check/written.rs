//! What stands in the file and had better not: secrets, text that a shell would take apart, and times that never come
//! to pass.

use super::{Findings, Subject, codes, related};
use std::time::Duration;

use crate::source::{Span, excerpt};
use crate::spec::Pool;
use crate::spec::duration_text as in_words;

pub(super) fn no_secret_in_clear(subject: &Subject, findings: &mut Findings) {
    for variable in &subject.workflow.clear_secrets {
        let name = &variable.name;
        // The value itself is told nowhere.
        let message = format!("the value of `{name}` stands in the file for all to read");
        let finding = findings.warning(codes::SECRET_IN_CLEAR, variable.place, message);
        finding.help = Some(format!(
            "leave it out, so that it comes from the environment of forkyard, or write `{name}: {{value: \"${{{{ env.{name} }}}}\", secret: true}}`"
        ));
    }
}

/// A script is text that a shell reads: what comes from outside the file could be read as more than one word of it.
pub(super) fn text_in_scripts_is_quoted(subject: &Subject, findings: &mut Findings) {
    for expression in &subject.workflow.unquoted {
        let (source, part) = (excerpt(&expression.source), excerpt(&expression.part));
        let (message, help) = if expression.in_quotes {
            (
                format!("`{source}` stands in quotes of the script, so that its own quotes do not quote"),
                format!(
                    "end them before it and begin them again behind it, as in `'a '${{{{ {source} }}}}' b'`, or hand it over by `env` and write `\"$NAME\"`"
                ),
            )
        } else {
            let written = if expression.source == expression.part {
                format!("`${{{{ {source} | sh }}}}` without quotes around it")
            } else {
                format!("`{part} | sh` in the expression and no quotes around it")
            };
            (
                format!("`{part}` comes from outside the file and is not quoted for the shell"),
                format!("write {written}, or hand it over by `env` and write `\"$NAME\"`"),
            )
        };
        let finding = findings.warning(codes::UNQUOTED, expression.place, message);
        finding.help = Some(help);
    }
}

/// The run's time-out ends everything before a longer one of its parts could.
pub(super) fn parts_end_before_the_run(subject: &Subject, findings: &mut Findings) {
    let workflow = subject.workflow;
    let Some((whole, whole_place)) = workflow.options.timeout else {
        return;
    };
    for (declared, body) in subject.bodies() {
        let name = &declared.name;
        let own = body
            .timeout
            .map(|(timeout, place)| (timeout, place, format!("the time-out of `{name}`")));
        let waits = body.after.iter().filter_map(|after| {
            let what = format!("the wait of `{name}` for `{}`", after.on.name);
            Some((after.timeout?, after.on.place, what))
        });
        for (timeout, place, what) in own.into_iter().chain(waits).filter(|(timeout, ..)| *timeout >= whole) {
            let message = format!("{what} never comes to pass: the whole run has {}", in_words(whole));
            let finding = findings.warning(codes::TIMEOUT_BEYOND_THE_RUN, place, message);
            finding.help = Some(format!(
                "make it shorter than {}, or give the run more than {}",
                in_words(whole),
                in_words(timeout)
            ));
            finding.related.push(related(whole_place, "the time-out of the run"));
        }
    }
    for pool in &workflow.pools {
        retries_fit(pool, whole, whole_place, findings);
    }
}

/// A task that fails by its time-out each time is over before the run is.
fn retries_fit(pool: &Pool, whole: Duration, whole_place: Span, findings: &mut Findings) {
    let Some((timeout, place)) = pool.body.timeout.filter(|(timeout, _)| *timeout < whole) else {
        return;
    };
    let attempts = timeout.saturating_mul(pool.retry_max.saturating_add(1));
    let worst = attempts.saturating_add(pool.retry_backoff.saturating_mul(pool.retry_max));
    if pool.retry_max > 0 && worst >= whole {
        let message = format!(
            "a task of `{}` may be tried for {}, but the whole run has {}",
            pool.declared.name,
            in_words(worst),
            in_words(whole)
        );
        let finding = findings.warning(codes::RETRIES_BEYOND_THE_RUN, place, message);
        finding.help = Some(format!(
            "{} retries of {} and the pauses between them: make one of them shorter, or give the run more",
            pool.retry_max,
            in_words(timeout)
        ));
        finding.related.push(related(whole_place, "the time-out of the run"));
    }
}
