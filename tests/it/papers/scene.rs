//! One world, one folder, one shell: what a reader has who goes through a paper from top to bottom.

use super::block::Command;
use crate::env::{Cloud, IMAGE, lean, repo};
use crate::source::files;
use crate::stage::TEMPLATE;
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

/// Longest time for a whole paper, in seconds: after it the shell is ended.
const PATIENCE: u32 = 240;

/// What one command came to.
pub(super) struct Came {
    pub(super) place: String,
    pub(super) code: i32,
    /// Standard output and standard error, as a terminal shows them.
    pub(super) screen: String,
}

pub(super) struct Scene {
    dir: tempfile::TempDir,
    cloud: Option<Cloud>,
}

impl Scene {
    /// An empty folder, and no cloud: the paper starts its own.
    pub(super) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["bin", "home", "steps", "here"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        Self { dir, cloud: None }
    }

    /// A shell that finds the binary.
    pub(super) fn with_the_binary(self) -> Self {
        fs::copy(lean(), self.dir.path().join("bin/fleetwright")).unwrap();
        self
    }

    /// What the example's spec names, and the READMEs' too.
    pub(super) fn furnish(&self) {
        let here = self.here();
        for folder in ["playbooks", "src", "build", "specs"] {
            fs::create_dir(here.join(folder)).unwrap();
        }
        for file in ["fleet.yaml", "src/main.rs", "src/lib.rs"].map(str::to_owned).into_iter().chain(files("playbooks"))
        {
            fs::copy(repo(&file), here.join(&file)).unwrap();
        }
        let site = "steps: [{name: a file of ours, run: touch /tmp/ours}]\n";
        let files = [
            ("items.txt", "src/main.rs\nsrc/lib.rs\n"),
            ("build/worker.tar.gz", ""),
            ("playbooks/site.yaml", site),
            ("playbooks/provision.yaml", site),
        ];
        for (file, text) in files {
            fs::write(here.join(file), text).unwrap();
        }
    }

    /// A copy of this repository's example and a cloud with real hosts made from it; questions are answered with yes.
    pub(super) fn with_the_example() -> Self {
        let scene = Self::empty();
        scene.furnish();
        let cloud = Cloud::with_hosts("fleet.yaml", 120, &json!({}), "real");
        let here = scene.here();
        let spec = super::filled(&fs::read_to_string(here.join("fleet.yaml")).unwrap());
        fs::write(here.join("fleet.yaml"), &spec).unwrap();
        fs::write(here.join("specs/crawl.yaml"), &spec).unwrap();
        for folder in ["playbooks", "src", "build"] {
            symlink(here.join(folder), here.join("specs").join(folder)).unwrap();
        }
        // Hosts have the binary of the template: what is packed, sent and unpacked stays small.
        fs::write(here.join("build/fleetwright"), "#!/bin/sh\nexec /opt/worker/releases/first/fleetwright \"$@\"\n")
            .unwrap();
        fs::set_permissions(here.join("build/fleetwright"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut pack = Process::new("tar");
        pack.arg("-czf").arg(here.join("build/worker.tar.gz"));
        pack.arg("-C").arg(here.join("playbooks")).arg("worker.sh");
        pack.arg("-C").arg(here.join("build")).arg("fleetwright");
        assert!(pack.status().unwrap().success());
        for folder in [".zfunc", ".config/fish/completions", ".local/share/bash-completion/completions"] {
            fs::create_dir_all(scene.dir.path().join("home").join(folder)).unwrap();
        }
        let binary = lean().display();
        let agree = "case \" $* \" in *' --yes '*) ;; *) set -- --yes \"$@\" ;; esac";
        scene.tool("fleetwright", &format!("{agree}\nexec {binary} \"$@\"\n"));
        // A reader of manual pages, which not every machine has.
        scene.tool("man", "exec groff -man -Tascii \"$2\"\n");
        Self { cloud: Some(cloud), ..scene }
    }

    fn tool(&self, name: &str, script: &str) {
        let path = self.dir.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The folder that the paper's reader is in.
    pub(super) fn here(&self) -> PathBuf {
        self.dir.path().join("here")
    }

    /// Runs commands until one does not end with 0, unless the next one asks for its exit code.
    pub(super) fn run(&self, commands: &[Command]) -> Vec<Came> {
        let steps = self.dir.path().join("steps");
        let mut script = "last=0; servers=\ntrap 'for server in $servers; do kill $server; done' EXIT\n".to_owned();
        for (n, command) in commands.iter().enumerate() {
            let at = steps.join(n.to_string()).display().to_string();
            if command.text.starts_with("fleetwright sim serve") {
                // What the reader lets run in a terminal of its own; it ends with the shell that started it.
                write!(
                    script,
                    "{{ export FLEETWRIGHT_PARENT=1; {}\n}} >{at}.out 2>&1 </dev/null &\nservers=\"$servers $!\"\n\
                     until grep -q no_proxy {at}.out; do kill -0 $! || exit; sleep 0.05; done; echo 0 >{at}.code\n",
                    command.text
                )
                .unwrap();
                continue;
            }
            let asked = commands.get(n + 1).is_some_and(|next| next.text == "echo $?");
            write!(
                script,
                "(exit $last)\n{{ {}\n}} >{at}.out 2>&1 </dev/null\nlast=$?; echo $last >{at}.code\n{}",
                command.text,
                if asked { "" } else { "[ $last = 0 ] || exit\n" }
            )
            .unwrap();
        }
        fs::write(steps.join("script"), script).unwrap();
        let status = self.shell(&steps.join("script")).status().unwrap();
        let read = |n: usize, what: &str| fs::read_to_string(steps.join(format!("{n}.{what}"))).ok();
        let came = |(n, command): (usize, &Command)| {
            let code = read(n, "code")?.trim().parse().ok()?;
            let screen = read(n, "out")?.replace(self.here().to_str()?, "/home/you/crawl");
            Some(Came { place: command.place.clone(), code, screen })
        };
        let came: Vec<Came> = commands.iter().enumerate().map_while(came).collect();
        assert!(!came.is_empty() && status.code() != Some(124), "{status}, after {} commands", came.len());
        came
    }

    /// The template as an entry of `hosts`.
    pub(super) fn template(&self) -> String {
        let cloud = self.cloud.as_ref().unwrap();
        let world = cloud.world();
        let template = world["instances"].as_array().unwrap().iter().find(|host| host["id"] == TEMPLATE).unwrap();
        let port = cloud.env()["FLEETWRIGHT_SET"].lines().find_map(|set| set.strip_prefix("ssh.port=")).unwrap();
        format!("address: {}, port: {port}, user: ec2-user", template["private_ip"].as_str().unwrap())
    }

    fn shell(&self, script: &Path) -> Process {
        let mut shell = Process::new("timeout");
        let path = std::env::var("PATH").unwrap();
        shell.arg(PATIENCE.to_string()).arg("bash").arg(script).current_dir(self.here()).env_clear();
        shell.env("PATH", format!("{}:{path}", self.dir.path().join("bin").display()));
        shell.env("HOME", self.dir.path().join("home")).env("IMAGE", IMAGE).stdin(Stdio::null());
        if let Some(mark) = std::env::var_os("FLEETWRIGHT_TEST_RUN") {
            shell.env("FLEETWRIGHT_TEST_RUN", mark);
        }
        if let Some(cloud) = &self.cloud {
            shell.envs(cloud.env());
        }
        shell
    }
}
