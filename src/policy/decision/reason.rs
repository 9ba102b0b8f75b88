//! The words a decision is named by: stable codes, and what each tells an assistant.
//!
//! Owns the list of codes, the sentence that says what was found and the hint that says
//! what to do instead. Neither quotes a rule, a pattern or a list of the operator's: a
//! denial must not teach its reader where the fence is. Called by the lexer, the rules
//! and whoever prints a denial.
//!
//! | code | what it means |
//! |---|---|
//! | `rule` | a rule of the policy decided (allow or ask) |
//! | `safe` | `echo`, `true`, `false`: need no rule |
//! | `filter` | a read-only filter behind a pipe: needs no rule |
//! | `no-rule` | nothing in the policy allows this command |
//! | `deny-rule` | a deny rule names this command |
//! | `deny-substring` | the command contains a text that is denied everywhere |
//! | `hazard:option` | a wildcard would have to grant an option that executes, writes or leaks |
//! | `hazard:exec-or-write` | the same for a word such as `-exec` or `add` |
//! | `hazard:operand` | the same for an operand that makes the program write |
//! | `hazard:interpreter` | a program that runs code was given words that no rule spells |
//! | `hazard:wrapper` | a program that starts others was given a program that no rule spells |
//! | `hazard:sed-script` | a sed script or option beyond the read-only ones |
//! | `hazard:path` | the program is in a set, and this file in none of its `paths` |
//! | `hazard:undescribed` | a word that is no plain name, of a program that nothing is known of |
//! | `follows` | it goes on until it is ended, and the call would wait for its end |
//! | `detach` | it may run, and not as a job that outlives the client |
//! | `approval:unavailable` | the rule asks a person and the client cannot |
//! | `approval:declined`, `approval:timeout` | the person said no, or nothing in time |
//! | `approval:cancelled`, `approval:malformed` | the question was closed without a yes or a no; what was answered says neither |
//! | `approval:mismatch` | the answer was for another command or host |
//! | `approval:missing` | the rule began to ask while the command waited, and nobody was asked |
//! | `file:no-rule`, `file:shell` | nothing in `files:` lets this file be read or written; the host's commands do not go to `/bin/sh` |
//! | `stdin` | the command may run, and no rule lets it be given something to read |
//! | `host-gone` | the host was taken out of the configuration while the command waited |
//! | `syntax:empty` | nothing to run |
//! | `syntax:not-utf8` | not UTF-8 text |
//! | `syntax:limit` | over 8 KiB, 32 commands or 256 words |
//! | `syntax:newline` | a line break inside quotes |
//! | `syntax:carriage-return`, `syntax:tab`, `syntax:nul`, `syntax:escape`, `syntax:control-char` | a control character |
//! | `syntax:invisible-char` | an invisible, bidirectional or format character, or an exotic blank |
//! | `syntax:non-ascii-unquoted` | a non-ASCII character outside quotes |
//! | `syntax:unterminated-quote` | a quote that is not closed |
//! | `syntax:backslash` | a backslash before anything but punctuation or a blank |
//! | `syntax:dollar`, `syntax:backtick` | an expansion or substitution, also inside double quotes |
//! | `syntax:paren`, `syntax:brace`, `syntax:bracket`, `syntax:glob`, `syntax:tilde`, `syntax:hash`, `syntax:bang`, `syntax:caret` | that character outside quotes, where a shell would do something with it |
//! | `syntax:background` | a single `&` |
//! | `syntax:redirect` | any redirection but `2>&1`, `> /dev/null`, `2> /dev/null`, `&> /dev/null`, `< FILE` after the words |
//! | `syntax:redirect-first` | one of those before the program |
//! | `syntax:empty-command` | an operator with nothing on one side |
//! | `syntax:equals-start`, `syntax:percent-start`, `syntax:quoted-program`, `syntax:bad-program` | a word that begins with `=` or `%` outside quotes; a program name that is quoted or oddly written |
//! | `syntax:assignment` | `NAME=value` that changes more than the form of an output |
//! | `syntax:reserved-word` | a loop without known rounds, `case`, or a keyword of some shell where the program belongs |
//! | `syntax:bare-words` | `shell: direct`, and a word that would need quotes |
//! | `syntax:plain-lists` | `shell: login`, and more than simple commands in a list |
//! | `syntax:unclosed` | a group, `if` or `for` without its end |
//! | `syntax:eval-builtin` | a shell builtin that evaluates its operands |

/// Why a command was decided as it was. The text form is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    Rule,
    Safe,
    Filter,
    NoRule,
    DenyRule,
    DenySubstring,
    HazardOption,
    HazardWord,
    HazardOperand,
    HazardInterpreter,
    HazardWrapper,
    HazardSedScript,
    HazardPath,
    HazardUndescribed,
    Follows,
    Detach,
    ApprovalUnavailable,
    ApprovalDeclined,
    ApprovalCancelled,
    ApprovalMalformed,
    ApprovalTimeout,
    ApprovalMismatch,
    ApprovalMissing,
    NoFileRule,
    FileShell,
    Stdin,
    HostGone,
    Empty,
    NotUtf8,
    Limit,
    Newline,
    CarriageReturn,
    Tab,
    Nul,
    Escape,
    ControlChar,
    InvisibleChar,
    NonAsciiUnquoted,
    UnterminatedQuote,
    Backslash,
    Dollar,
    Backtick,
    Paren,
    Brace,
    Bracket,
    Glob,
    Tilde,
    Hash,
    Bang,
    Caret,
    Background,
    Redirect,
    RedirectFirst,
    EmptyCommand,
    EqualsStart,
    PercentStart,
    QuotedProgram,
    BadProgram,
    Assignment,
    ReservedWord,
    Loop,
    Case,
    Unclosed,
    EvalBuiltin,
    BareWords,
    PlainLists,
}

impl Code {
    /// The stable text of this code, as replies and records carry it.
    pub fn as_str(self) -> &'static str {
        self.texts().0
    }

    /// What was found, in words for an assistant.
    pub fn why(self) -> &'static str {
        self.texts().1
    }

    /// What to do instead.
    pub fn hint(self) -> &'static str {
        self.texts().2
    }

    /// Whether the text was refused before any rule was looked at.
    pub fn is_syntax(self) -> bool {
        self.as_str().starts_with("syntax:")
    }

    /// What names a refusal with several faults: the smallest.
    pub(crate) fn syntax_rank(self) -> u8 {
        match self {
            Self::Limit | Self::Empty | Self::NotUtf8 => 0,
            Self::CarriageReturn
            | Self::Tab
            | Self::Nul
            | Self::Escape
            | Self::ControlChar
            | Self::InvisibleChar => 1,
            Self::Assignment
            | Self::QuotedProgram
            | Self::BadProgram
            | Self::ReservedWord
            | Self::EvalBuiltin => 3,
            _ => 2,
        }
    }

    /// Code, finding, hint: one line each, so that the three are read together.
    fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Rule => ("rule", "A rule decided", ""),
            Self::Safe => ("safe", "The program is always allowed", ""),
            Self::Filter => ("filter", "A read-only filter behind a pipe", ""),
            Self::NoRule => (
                "no-rule",
                "No rule of the policy allows this command on this host",
                "Try a narrower read-only command, or ask the operator to allow this one",
            ),
            Self::DenyRule => (
                "deny-rule",
                "The policy denies this command on this host",
                "A rule names it, whatever its spelling",
            ),
            Self::DenySubstring => (
                "deny-substring",
                "The command contains a text that the policy denies everywhere",
                "A list names it, whatever its spelling",
            ),
            Self::HazardOption => (
                "hazard:option",
                "An option of this command can execute, write, leak or never end, and no rule spells it out",
                "Leave the option out, or ask the operator to allow exactly this command",
            ),
            Self::HazardWord => (
                "hazard:exec-or-write",
                "A word of this command can execute, write or leak, and no rule spells it out",
                "Leave the word out, or ask the operator to allow exactly this command",
            ),
            Self::HazardOperand => (
                "hazard:operand",
                "An operand of this command makes it change something, or is known to nobody before it runs, and no rule spells it out",
                "Leave the operand out, or ask the operator to allow exactly this command",
            ),
            Self::HazardInterpreter => (
                "hazard:interpreter",
                "This program runs code, so that every word must be spelled out by a rule",
                "Use a program that only reads, or ask the operator to allow exactly this command",
            ),
            Self::HazardWrapper => (
                "hazard:wrapper",
                "This program starts another one, which a rule must spell out",
                "Run the inner program by itself, or ask the operator to allow exactly this command",
            ),
            Self::HazardSedScript => (
                "hazard:sed-script",
                "Only sed -n, s///gpI and addresses with p, d, q, = are accepted without a rule that spells them out",
                "Reduce the script to printing or substitution, without -i, -f, -E, w, r, e",
            ),
            Self::HazardPath => (
                "hazard:path",
                "The program may be used, but this file or directory lies in none that the policy opens to it",
                "Name a file that is open to you, or ask the operator for this one",
            ),
            Self::HazardUndescribed => (
                "hazard:undescribed",
                "Nothing is known of this program's words, so that a wildcard grants plain names only",
                "Leave out options, paths and NAME=VALUE, or ask the operator to allow exactly this command",
            ),
            Self::Follows => (
                "follows",
                "This command goes on until somebody ends it, and this call would wait for that",
                "Start it with ssh_run_async, read with ssh_get_task_output, end it with ssh_cancel; or leave \
                 the option out, or put timeout SECONDS before it",
            ),
            Self::Detach => (
                "detach",
                "No rule lets this go on without this client on this host",
                "Start it without detach: it ends with this server then. Or ask the operator for \
                 detach: true in the rule that allows it",
            ),
            Self::ApprovalUnavailable => (
                "approval:unavailable",
                "This command needs a person's approval, and this client cannot ask one",
                "Use a client that supports elicitation, or ask the operator to run it",
            ),
            Self::ApprovalDeclined => (
                "approval:declined",
                "The person who was asked did not approve this command",
                "The person decided",
            ),
            Self::ApprovalCancelled => (
                "approval:cancelled",
                "The question for approval was closed without a yes or a no",
                "Ask the person whether it is to run, then call again",
            ),
            Self::ApprovalMalformed => (
                "approval:malformed",
                "The client answered the question for approval with something that is neither yes nor no",
                "This is the client's fault, not a decision: tell the person, who can run it from another client",
            ),
            Self::ApprovalTimeout => (
                "approval:timeout",
                "Nobody approved this command in time",
                "Ask again when someone is there to answer",
            ),
            Self::ApprovalMismatch => (
                "approval:mismatch",
                "The approval was given for another command or host",
                "Ask for the approval of this very command",
            ),
            Self::ApprovalMissing => (
                "approval:missing",
                "This command needs a person's approval now, and nobody was asked",
                "Call again, so that the person is asked",
            ),
            Self::NoFileRule => (
                "file:no-rule",
                "No rule of the policy lets this file be read or written so on this host",
                "Ask the operator for a rule under files: in policy.yml",
            ),
            Self::FileShell => (
                "file:shell",
                "This host takes commands without /bin/sh, which files are read and written with",
                "Use a command that the policy allows there",
            ),
            Self::Stdin => (
                "stdin",
                "This command may run, but no rule lets a call give it something to read",
                "Leave out stdin, or what it would pass on, or ask the operator for stdin: true in its rule",
            ),
            Self::HostGone => (
                "host-gone",
                "The configuration no longer has this host",
                "See with ssh_list_hosts which hosts there are",
            ),
            Self::Empty => (
                "syntax:empty",
                "There is no command",
                "Name a program and its operands",
            ),
            Self::NotUtf8 => (
                "syntax:not-utf8",
                "The command is not UTF-8 text",
                "Send plain text",
            ),
            Self::Limit => (
                "syntax:limit",
                "The command is over 8 KiB, 32 commands or 256 words",
                "Split it into several calls",
            ),
            Self::Newline => (
                "syntax:newline",
                "A line break is not accepted inside quotes",
                "Put it into one line, or write \\n where the program reads it so",
            ),
            Self::CarriageReturn => (
                "syntax:carriage-return",
                "A carriage return is not accepted",
                "Send one line without it",
            ),
            Self::Tab => (
                "syntax:tab",
                "A tab is not accepted",
                "Use single blanks between words",
            ),
            Self::Nul => ("syntax:nul", "A NUL is not accepted", "Remove it"),
            Self::Escape => (
                "syntax:escape",
                "A terminal escape is not accepted",
                "Remove it",
            ),
            Self::ControlChar => (
                "syntax:control-char",
                "A control character is not accepted",
                "Remove it",
            ),
            Self::InvisibleChar => (
                "syntax:invisible-char",
                "An invisible or format character or an exotic blank is not accepted, quoted or not",
                "Remove it or use a plain blank",
            ),
            Self::NonAsciiUnquoted => (
                "syntax:non-ascii-unquoted",
                "A non-ASCII character is accepted inside quotes only",
                "Put the word in single quotes, or check for a look-alike letter or quote",
            ),
            Self::UnterminatedQuote => (
                "syntax:unterminated-quote",
                "A quote is not closed",
                "Close it; write a quote inside single quotes as '\\''",
            ),
            Self::Backslash => (
                "syntax:backslash",
                "A backslash is accepted before punctuation or a blank only",
                "Put the word in single quotes",
            ),
            Self::Dollar => (
                "syntax:dollar",
                "Variables are not expanded but that of a for, and \"$(COMMAND)\" only in double quotes behind text that \
                 is no option, for echo, and where it prints numbers, dates or names (pgrep, date +%F)",
                "Write the value out: run COMMAND by itself and put what it printed in its place; use \
                 printenv NAME for a variable; put a literal $ in single quotes; use pgrep -o for one number",
            ),
            Self::Backtick => (
                "syntax:backtick",
                "Command substitution with ` is not accepted, also inside double quotes",
                "Write \"$(COMMAND)\", or run it in a call of its own; put a literal ` in single quotes",
            ),
            Self::Paren => (
                "syntax:paren",
                "A parenthesis is accepted around a list of commands only, and where it is closed",
                "Put a literal ( in quotes; functions, arrays and arithmetic are not accepted",
            ),
            Self::Brace => (
                "syntax:brace",
                "Braces that a shell would expand, or that do not pair",
                "Write the words out; put a literal { in single quotes",
            ),
            Self::Bracket => (
                "syntax:bracket",
                "Brackets outside quotes match names of files, which are not expanded here",
                "Name the files, or put the word in single quotes; for a condition, write [ … ] with \
                 blanks, not [[ … ]]",
            ),
            Self::Glob => (
                "syntax:glob",
                "File name wildcards are not expanded here, or not by this policy (shell: globs)",
                "Name the files by their path from /, or use find DIR -name 'PATTERN', and -exec PROGRAM {} \\; in place of a for over files",
            ),
            Self::Tilde => (
                "syntax:tilde",
                "A tilde stands for the login's home only at the beginning of an operand, alone or \
                 before a /",
                "Write the directory out; put a literal ~ in quotes",
            ),
            Self::Hash => (
                "syntax:hash",
                "A # is not accepted in a program's name",
                "Put a blank before a comment",
            ),
            Self::Bang => (
                "syntax:bang",
                "A ! is accepted before a command, as a word of its own, or in quotes",
                "Put the word in single quotes",
            ),
            Self::Caret => (
                "syntax:caret",
                "A ^ is not accepted in a program's name",
                "Write the program's name plainly",
            ),
            Self::Background => (
                "syntax:background",
                "A single & is not accepted: nothing may run on unseen",
                "Use ssh_run_async for a long command; use && to join two",
            ),
            Self::Redirect => (
                "syntax:redirect",
                "Only 2>&1, > /dev/null, 2> /dev/null, &> /dev/null and < FILE are accepted, behind \
                 the last word and a blank",
                "Leave it out: both outputs are returned, and kept for paging; give text as an \
                 operand instead of <<; no file is written this way",
            ),
            Self::RedirectFirst => (
                "syntax:redirect-first",
                "A redirection stands before the program",
                "Put it behind the last word",
            ),
            Self::EmptyCommand => (
                "syntax:empty-command",
                "There is no command where one belongs",
                "Remove the operator, or put a command beside it",
            ),
            Self::EqualsStart => (
                "syntax:equals-start",
                "A word may not begin with a bare =, which some shells expand",
                "Put the word in single quotes",
            ),
            Self::PercentStart => (
                "syntax:percent-start",
                "A word may not begin with a bare %, which some shells take for a job",
                "Put the word in single quotes",
            ),
            Self::QuotedProgram => (
                "syntax:quoted-program",
                "The program's name may not be quoted or escaped",
                "Write the program's name plainly",
            ),
            Self::BadProgram => (
                "syntax:bad-program",
                "This is not how a program's name is written",
                "Write a name or a path of letters, digits and . _ + - without //, /./ or /../",
            ),
            Self::Assignment => (
                "syntax:assignment",
                "Only variables that change the form of an output may be set, and only before a \
                 command: LANG, LC_*, TZ, COLUMNS, PAGER=cat, SYSTEMD_PAGER=, NO_COLOR, \
                 DEBIAN_FRONTEND",
                "Leave NAME=value out; write a value into the words that use it",
            ),
            Self::ReservedWord => (
                "syntax:reserved-word",
                "A keyword of some shell stands where no command can begin with it",
                "Use lists, if, for over words, numbers or files, { …; } and ( … )",
            ),
            Self::Loop => (
                "syntax:reserved-word",
                "A while, an until, a for without words and one within another of its NAME are not judged",
                "Write the rounds out, or use for NAME in with words, $(pgrep …) or files, a NAME for each; let awk go over lines",
            ),
            Self::Case => (
                "syntax:reserved-word",
                "A case depends on a value that is not known before",
                "Use if with /usr/bin/test, or call for the branch that is meant",
            ),
            Self::Unclosed => (
                "syntax:unclosed",
                "A group, an if or a for is not written to its end",
                "Write { …; }, if …; then …; fi, or for NAME in WORDS; do …; done",
            ),
            Self::BareWords => (
                "syntax:bare-words",
                "This host gets words as they are, without quotes, and one of these needs some",
                "Use words of letters, digits and _ . / : , + @ - only, joined by | ; && || at most; the \
                 operator can say which quotes the host reads (quotes: single or double)",
            ),
            Self::PlainLists => (
                "syntax:plain-lists",
                "This host's login shell gets simple commands joined by | ; && || only",
                "Leave out groups, if, for, !, assignments, $(…), && beside ||, and redirections but \
                 >/dev/null behind a single command: both outputs are returned",
            ),
            Self::EvalBuiltin => (
                "syntax:eval-builtin",
                "A builtin of some shell that evaluates an operand or changes the shell itself",
                "Use a program that only reads; for set -e join with &&, for export write LC_ALL=C \
                 before the command; test, [ and printf are accepted without -v",
            ),
        }
    }
}
