//! Reboots a host and waits until a new boot answers.

use super::exec::{Input, Limits, Status};
use super::{Session, Ssh, SshFault, SshFaultKind, Target, Trust};
use std::time::{Duration, Instant};

/// How a reboot ended badly.
#[derive(Debug)]
pub(super) enum RebootFault {
    /// The host refused to reboot.
    Refused { exit: u32, output: Vec<u8> },
    /// No new boot answered in time, and why the last try failed.
    Late(String),
    /// The host could not be followed: wrong key, or lost before the reboot was asked for.
    Ssh(SshFault),
}

impl From<SshFault> for RebootFault {
    fn from(fault: SshFault) -> Self {
        Self::Ssh(fault)
    }
}

const ASK: &str = "if [ \"$(id -u)\" = 0 ]; then exec reboot; else exec sudo -n reboot; fi";
const SHORT: Limits = Limits { timeout: Duration::from_secs(20), max_output: 4096 };

/// Asks for a reboot and connects until another boot id than before answers, for at most `within` of wall time, `poll`
/// apart. Refused logins count as not yet up (sshd refuses them while the system boots); a wrong host key ends it.
pub(super) async fn reboot(
    (ssh, target, trust): (&Ssh, &Target, &Trust),
    session: Session,
    within: Duration,
    poll: Duration,
) -> Result<Session, RebootFault> {
    let began = Instant::now();
    let before = boot_id(&session).await?;
    match session.exec(ASK, Input::Empty, SHORT).await {
        // 128 and more: ended by the very shutdown it asked for.
        Ok(done) => match done.status {
            Status::Exit(exit @ 1..128) => {
                return Err(RebootFault::Refused { exit, output: [done.stdout, done.stderr].concat() });
            }
            Status::Exit(_) | Status::Signal(_) => {}
        },
        Err(fault) => match fault.kind {
            SshFaultKind::Lost | SshFaultKind::TimedOut => {}
            SshFaultKind::Unreachable | SshFaultKind::HostKey | SshFaultKind::Auth | SshFaultKind::Protocol => {
                return Err(fault.into());
            }
        },
    }
    session.close().await;
    let mut last = "the old boot still answers".to_owned();
    while began.elapsed() < within {
        tokio::time::sleep(poll).await;
        let answer = async {
            let session = ssh.connect(target, trust).await?;
            let id = boot_id(&session).await?;
            Ok::<_, SshFault>((session, id))
        };
        match answer.await {
            Ok((session, id)) if id != before => return Ok(session),
            Ok((session, _)) => {
                "the old boot still answers".clone_into(&mut last);
                session.close().await;
            }
            Err(fault) if fault.kind == SshFaultKind::HostKey => return Err(fault.into()),
            Err(fault) => last = fault.to_string(),
        }
    }
    Err(RebootFault::Late(last))
}

async fn boot_id(session: &Session) -> Result<Vec<u8>, SshFault> {
    let asked = session.exec("cat /proc/sys/kernel/random/boot_id", Input::Empty, SHORT).await?;
    if asked.success() && !asked.stdout.is_empty() {
        return Ok(asked.stdout);
    }
    Err(SshFault::new(SshFaultKind::Protocol, "reboot", "the host does not tell its boot id"))
}
