//! Informed consent: asked once, before the first packet, and recorded. No run without it.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use faultline_record::Timestamp;

use crate::error::ProbeError;

/// What somebody consents to: to contact a site is one thing, to be seen with a tunnel another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Sites and apps.
    Sites,
    /// Servers of VPNs, proxies and Tor, by their own protocols.
    Tunnels,
}

impl Subject {
    /// Changes when the text changes in substance: consent to an older text is asked again.
    const fn version(self) -> u32 {
        match self {
            Self::Sites => 2,
            Self::Tunnels => 1,
        }
    }

    /// What a volunteer is told.
    const fn text(self) -> &'static str {
        match self {
            Self::Sites => SITES,
            Self::Tunnels => TUNNELS,
        }
    }

    const fn question(self) -> &'static str {
        match self {
            Self::Sites => "Measure from this connection? Type yes to go on: ",
            Self::Tunnels => "Try tunnels from this connection? Type yes to go on: ",
        }
    }

    /// The option that gives it, and the file that it is recorded in.
    const fn places(self) -> (&'static str, &'static str) {
        match self {
            Self::Sites => ("--yes", "consent"),
            Self::Tunnels => ("--yes-vpn", "consent-vpn"),
        }
    }

    const fn refusal(self) -> &'static str {
        match self {
            Self::Sites => "nobody has consented to measuring from here",
            Self::Tunnels => "nobody has consented to trying tunnels from here",
        }
    }
}

const TUNNELS: &str = "\
This run tries servers of VPNs, proxies or Tor. Please read this, too.

The program begins a conversation with each as its own clients do, without an account, and ends it before anything is sent
through it. It uses no key but those that you give it and those that providers publish.

- Whoever watches this network can see that protocols of tunnels are spoken from here, and to which servers. That is what
  some countries look for. Some demand that VPNs be registered or licensed, and whether a mere test counts as use may not
  be settled: in Pakistan it is not. Who runs the test is you.
- It may be recognised as more than one person's use, since many servers are tried one after the other.
- Results name provider and protocol. Where the servers are stays in the file on this machine and is left out of what is
  printed and exported, unless you ask for it.
";

/// What a volunteer is told of sites.
const SITES: &str = "\
Before the first run, please read this.

This program contacts the sites and services of its lists from this connection, as a browser would: it looks their
names up, connects, and fetches one page of each. It also asks public resolvers (Google, Quad9, Cloudflare) and a few
well-known sites whether the connection works. When something fails, it tries again in other ways to find out why.

- The operator of this network, and whoever watches it, can see which names and addresses are contacted, and may well
  recognise that a measurement is being made. In some countries that can have consequences for you.
- Categories of sites that can endanger people (religion, sexuality, opposition and others) are left out until you
  name them with --category.
- Results stay in a file on this machine. Your public address is not written to it. Nothing is sent to anybody, but
  for one thing: a helper, if you name one with --helper, is told which targets did not plainly work.
- Data and pace are limited; see --max-data, --max-time and --rate.
";

/// How consent was given, for the run's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Now, in answer to the question.
    Asked,
    /// By `--yes`.
    Option,
    /// On an earlier day.
    Recorded,
}

impl Consent {
    /// The word stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Option => "option",
            Self::Recorded => "recorded",
        }
    }
}

/// Whether nobody need be asked any more.
pub fn is_given(subject: Subject, yes: bool, folder: Option<&Path>) -> bool {
    yes || folder.is_some_and(|folder| is_recorded(subject, &folder.join(subject.places().1)))
}

/// Obtains consent, or says why there is none. `folder` is where it is recorded; without one it holds for this run.
pub fn obtain(subject: Subject, yes: bool, folder: Option<&Path>) -> Result<Consent, ProbeError> {
    let (option, file) = subject.places();
    let record = folder.map(|folder| folder.join(file));
    if yes {
        remember(subject, record.as_ref(), Consent::Option);
        return Ok(Consent::Option);
    }
    if is_given(subject, false, folder) {
        return Ok(Consent::Recorded);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let refusal = subject.refusal();
        return Err(ProbeError::Usage(format!(
            "{refusal}, and there is no terminal to ask at: run it once on a terminal, or give {option} after reading \
             `docs/safety.md`"
        )));
    }
    if ask(subject, &mut io::stdin().lock(), &mut io::stderr()) {
        remember(subject, record.as_ref(), Consent::Asked);
        Ok(Consent::Asked)
    } else {
        Err(ProbeError::Usage("no consent was given; nothing was sent".into()))
    }
}

fn ask(subject: Subject, input: &mut impl BufRead, output: &mut impl Write) -> bool {
    let mut answer = String::new();
    let asked = write!(output, "{}\n{}", subject.text(), subject.question()).and_then(|()| output.flush());
    asked.and_then(|()| input.read_line(&mut answer)).is_ok() && answer.trim().eq_ignore_ascii_case("yes")
}

fn is_recorded(subject: Subject, file: &Path) -> bool {
    let version = |text: String| text.lines().find_map(|line| line.strip_prefix("text ")?.parse::<u32>().ok());
    fs::read_to_string(file).ok().and_then(version) == Some(subject.version())
}

/// A record that cannot be written costs another question, not the run.
fn remember(subject: Subject, file: Option<&PathBuf>, consent: Consent) {
    let Some(file) = file else { return };
    if is_recorded(subject, file) {
        return;
    }
    let text = format!("text {}\ngiven {}\nhow {}\n", subject.version(), Timestamp::now(), consent.name());
    let written = file.parent().map_or(Ok(()), make_private_folder).and_then(|()| {
        OpenOptions::new().write(true).create(true).truncate(true).open(file)?.write_all(text.as_bytes())
    });
    if let Err(error) = written {
        tracing::warn!("failed to record the consent in {}: {error}", file.display());
    }
}

/// Makes a folder that only its owner can look into; one that exists stays as it is.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_word_yes_is_consent() {
        for (answer, given) in [("yes\n", true), ("YES\n", true), ("y\n", false), ("\n", false), ("", false)] {
            let mut shown = Vec::new();
            assert_eq!(ask(Subject::Sites, &mut answer.as_bytes(), &mut shown), given, "{answer:?}");
            assert!(String::from_utf8(shown).unwrap().contains("can see which names"));
        }
    }

    #[test]
    fn consent_by_option_is_recorded_and_holds_for_later_runs() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("faultline");
        assert_eq!(obtain(Subject::Sites, true, Some(&inner)).unwrap(), Consent::Option);
        assert_eq!(obtain(Subject::Sites, false, Some(&inner)).unwrap(), Consent::Recorded);
    }

    #[test]
    fn consent_to_sites_is_none_to_tunnels() {
        let folder = tempfile::tempdir().unwrap();
        obtain(Subject::Sites, true, Some(folder.path())).unwrap();
        assert!(!is_given(Subject::Tunnels, false, Some(folder.path())));
        obtain(Subject::Tunnels, true, Some(folder.path())).unwrap();
        assert!(is_given(Subject::Tunnels, false, Some(folder.path())));
        let mut shown = Vec::new();
        assert!(!ask(Subject::Tunnels, &mut b"y\n".as_slice(), &mut shown));
        assert!(String::from_utf8(shown).unwrap().contains("registered or licensed"));
    }

    #[test]
    fn consent_to_an_older_text_does_not_hold() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("consent");
        fs::write(&file, "text 0\n").unwrap();
        assert!(!is_recorded(Subject::Sites, &file));
        fs::write(&file, "garbage").unwrap();
        assert!(!is_recorded(Subject::Sites, &file));
    }
}
