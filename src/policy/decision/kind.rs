//! The three kinds of denial, which every text keeps apart: put it otherwise; narrow it or
//! ask; stop.
//!
//! Owns which code is of which kind, and the advice that goes with it. Judges nothing.
//! Called by whoever makes or shows a denial.

use crate::policy::decision::reason::Code;

/// What a denial asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The same in other words: the text was not understood, or goes too far in one word.
    Rewrite,
    /// A narrower command, or the operator: nothing allows this one.
    Narrow,
    /// Nothing: somebody or something said no.
    Stop,
}

/// A command that does the same and may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The tool to send it with, if that is another one than `ssh_run`.
    pub tool: Option<&'static str>,
    pub command: String,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::Narrow => "narrow",
            Self::Stop => "stop",
        }
    }

    /// What follows every hint of this kind.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Rewrite => {
                "Then send it again: ssh_run judges it before anything runs; ssh_plan only judges"
            }
            Self::Narrow => "ssh_plan says whether a narrower form is allowed",
            Self::Stop => {
                "Stop here: tell the person what was denied, and try no other form of it; ssh_plan would \
                 say the same"
            }
        }
    }
}

impl Code {
    /// Which of the three kinds a denial with this code is.
    pub fn kind(self) -> Kind {
        match self {
            Self::DenyRule | Self::DenySubstring | Self::ApprovalDeclined => Kind::Stop,
            Self::HazardInterpreter
            | Self::HazardWrapper
            | Self::HazardPath
            | Self::HazardUndescribed => Kind::Narrow,
            Self::Follows => Kind::Rewrite,
            code if code.is_syntax() || code.as_str().starts_with("hazard:") => Kind::Rewrite,
            _ => Kind::Narrow,
        }
    }
}
