//! Boot, reboot, image, black hole and end of hosts.

use super::*;

#[test]
fn a_reboot_starts_afresh_and_the_disk_stays() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    let boot = "cat /proc/sys/kernel/random/boot_id";
    let first = host.good(boot);
    host.good("echo kept > /opt/kept; echo gone > /tmp/gone; echo gone > /run/gone; sleep 1000 >/dev/null 2>&1 &");
    assert_eq!(host.good(boot), first);
    let key = host.key();
    // The session may be cut before the client hears the exit code.
    host.run("sudo reboot");
    assert!(eventually(|| {
        let out = host.run(boot);
        out.status.success() && out.stdout.trim_ascii() != first.as_bytes()
    }));
    assert_eq!(
        host.good("cat /opt/kept; ls /tmp; ls /run/gone 2>&1 | wc -l; pgrep sleep || echo none"),
        "kept\n1\nnone"
    );
    assert_eq!(*cloud.world.heard.lock().unwrap(), ["i-1 reboot"]);
    assert_eq!(host.key(), key);
    assert_eq!(host.console().matches("BEGIN SSH HOST KEY KEYS").count(), 1, "keys are printed at the first boot only");
}

#[test]
fn a_host_that_powers_itself_off_says_so() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    host.run("sudo shutdown -h now");
    assert!(eventually(|| *cloud.world.heard.lock().unwrap() == ["i-1 off"]));
    assert!(TcpStream::connect(host.socket()).is_err());
    cloud.hosts.power("i-1", Power::On);
    host.wait_for_ssh();
    host.good("true");
}

#[test]
fn an_image_carries_files_but_not_the_host_key() {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("setup.sh");
    fs::write(&script, "echo by the operator > /opt/setup\n").unwrap();
    let cloud = Cloud::with(Wanted {
        template_setup: Some(TemplateSetup { id: "i-1".to_owned(), script }),
        ..Wanted::default()
    });
    let template = cloud.host(1, "ami-base", None);
    assert_eq!(
        template.good("cat /opt/setup; mkdir /opt/a; echo data > /opt/a/b; chmod 751 /opt/a/b"),
        "by the operator"
    );
    cloud.hosts.power("i-1", Power::Off);
    cloud.hosts.snapshot("i-1", "ami-baked");
    let copy = cloud.host(2, "ami-baked", None);
    assert_eq!(copy.good("cat /opt/setup /opt/a/b; stat -c %a /opt/a/b"), "by the operator\ndata\n751");
    assert_ne!(copy.key(), template.key());
    // The host key on the console is the one that is presented: another is refused by the client.
    let wrong = copy.ssh_as("ec2-user", &cloud.place.path().join("id"), &template.key(), "true").output().unwrap();
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("Host key verification failed"));
    let before = copy.key();
    copy.good("true");
    cloud.hosts.act("i-2", HostAct::Rekey);
    assert!(eventually(|| !copy.run("true").status.success()));
    assert_eq!(copy.key(), before);
}

#[test]
fn a_black_hole_neither_accepts_nor_refuses() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    host.good("true");
    cloud.hosts.act("i-1", HostAct::Blackhole);
    let connect = || TcpStream::connect_timeout(&host.socket(), Duration::from_millis(300)).map_err(|e| e.kind());
    assert!(eventually(|| matches!(connect(), Err(std::io::ErrorKind::TimedOut))));
    assert!(matches!(connect(), Err(std::io::ErrorKind::TimedOut)));
    cloud.hosts.act("i-1", HostAct::Restore);
    host.wait_for_ssh();
    host.good("true");
}

#[test]
fn nothing_is_left_after_the_end() {
    let cloud = Cloud::new();
    let mark = cloud.place.path().display().to_string();
    {
        let host = cloud.host(1, "ami-base", None);
        host.good(&format!("MARK={mark} setsid sleep 1000 >/dev/null 2>&1 &"));
        cloud.host(2, "ami-base", None);
    }
    assert!(processes_with(&mark).len() >= 3);
    let begun = Instant::now();
    cloud.hosts.shutdown();
    assert_eq!(processes_with(&mark), Vec::<String>::new(), "after {:?}", begun.elapsed());
    assert_eq!(fs::read_dir(cloud.place.path().join("state")).unwrap().count(), 0);
}

/// The serving process of the next test: this test binary again, told by an environment variable.
#[test]
fn server_to_be_killed() {
    let Ok(ready) = std::env::var("SIM_HOSTS_READY") else { return };
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    host.good(&format!("MARK={ready} setsid sleep 1000 >/dev/null 2>&1 &"));
    fs::write(&ready, "").unwrap();
    std::thread::sleep(LONG);
}

#[test]
fn hosts_die_with_their_server() {
    let place = tempfile::tempdir().unwrap();
    let ready = place.path().join("ready");
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sim_hosts::life::server_to_be_killed"])
        .env("SIM_HOSTS_READY", &ready)
        .env("TMPDIR", place.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(eventually(|| ready.exists()));
    let mark = place.path().display().to_string();
    assert!(processes_with(&mark).len() >= 3);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(eventually(|| processes_with(&mark).is_empty()), "{:?}", processes_with(&mark));
}

#[test]
fn forty_hosts_boot_quickly() {
    let cloud = Cloud::new();
    let begun = Instant::now();
    let image = "ami-base";
    for number in 1..=40 {
        cloud.hosts.create(NewHost {
            id: format!("i-{number}"),
            image: image.to_owned(),
            address: cloud.address(number),
            user_data: None,
            key_name: None,
        });
        cloud.hosts.power(&format!("i-{number}"), Power::On);
    }
    for number in 1..=40 {
        let id = format!("i-{number}");
        Guest { cloud: &cloud, id, address: cloud.address(number) }.wait_for_ssh();
    }
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}

#[test]
fn a_taken_port_is_named() {
    let first = Cloud::new();
    let port = first.hosts.ssh_port();
    let second = RealHosts::start(options(&first.place.path().join("second"), port));
    assert_eq!(second.unwrap_err().to_string(), format!("reserve port {port} on 127.64.0.0"));
}

/// Runs itself again where the kernel's limit of user namespaces is 0.
#[test]
fn forbidden_namespaces_are_named() {
    if std::env::var_os("SIM_HOSTS_FORBIDDEN").is_some() {
        let place = tempfile::tempdir().unwrap();
        let refused = RealHosts::start(options(place.path(), 0)).unwrap_err().to_string();
        assert!(refused.contains("user.max_user_namespaces allows no more"), "{refused}");
        assert!(refused.ends_with("or use --hosts none"), "{refused}");
        return;
    }
    let again = Command::new("unshare")
        .args(["-Ur", "sh", "-c"])
        .arg("echo 0 >/proc/sys/user/max_user_namespaces && exec \"$0\" --exact sim_hosts::life::forbidden_namespaces_are_named")
        .arg(std::env::current_exe().unwrap())
        .env("SIM_HOSTS_FORBIDDEN", "1")
        .output()
        .unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    assert!(String::from_utf8_lossy(&again.stdout).contains("1 passed"));
}
