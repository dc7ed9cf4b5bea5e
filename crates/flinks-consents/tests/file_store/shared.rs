//! Tests a store that is shared with a group, as on a Kubernetes volume with an `fsGroup`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use crate::prelude::*;
use crate::processes::{Process, token};
use crate::{NOWHERE, assert_holds, client, files, id, mode, record_file, stored};

fn open_shared(directory: &Path) -> Result<FileStore, StoreError> {
    FileStore::options().shared_with_group().open(directory)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) async fn directory_of_a_group_is_accepted_on_request() {
    let modes = [
        (0o2770, true),
        (0o770, true),
        (0o2775, true),
        (0o3770, false),
        (0o750, true),
        (0o700, true),
        (0o777, false),
        (0o2772, false),
        (0o1777, false),
    ];
    for (mode, is_accepted) in modes {
        let temporary = tempfile::tempdir().unwrap();
        set_mode(temporary.path(), mode);
        let store = match open_shared(temporary.path()) {
            Ok(store) => store,
            Err(error) => {
                assert!(!is_accepted, "{mode:o}: {error}");
                assert!(matches!(error, StoreError::Misconfigured(_)), "{mode:o}: {error:?}");
                continue;
            }
        };
        assert!(is_accepted, "{mode:o}");
        conformance::check(|| store.clone()).await.unwrap();
        if mode & 0o020 != 0 {
            assert!(matches!(FileStore::open(temporary.path()), Err(StoreError::Misconfigured(_))), "{mode:o}");
        }
    }
}

pub(crate) async fn new_shared_store_ignores_the_umask() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("volume").join("consents");
    let consents = Consents::builder(client(NOWHERE)).store(open_shared(&directory).unwrap()).build();
    consents.import(&id("user-7"), token(1), SystemTime::now()).await.unwrap();
    assert_eq!(directory.metadata().unwrap().mode() & 0o7777, 0o2770);
    for file in files(&directory, "") {
        assert_eq!(mode(&file), 0o660, "{}", file.display());
        assert_eq!(file.metadata().unwrap().gid(), directory.metadata().unwrap().gid());
    }
    assert_eq!(files(&directory, "").len(), 3, "expected a record, a lock and a marker");
}

pub(crate) async fn private_store_can_become_a_shared_store() {
    let (_temporary, directory, _) = stored().await;
    let record = FileStore::open(&directory).unwrap().load(&id("user-7")).await.unwrap().unwrap();
    let path = record_file(&directory);
    set_mode(&directory, 0o2770);
    let store = open_shared(&directory).unwrap();
    assert_holds(&store, &record).await;
    assert_eq!(mode(&path), 0o660);
    assert!(store.compare_and_swap(Some(record.generation()), &record).await.unwrap());
    assert!(files(&directory, ".lock").iter().all(|lock| mode(lock) == 0o660));
    // The store corrects the mode of a file that others can read.
    set_mode(&path, 0o664);
    assert_holds(&store, &record).await;
    assert_eq!(mode(&path), 0o660);
}

pub(crate) async fn only_the_same_group_may_write_above_a_shared_store() {
    let temporary = tempfile::tempdir().unwrap();
    let parent = temporary.path().join("volume");
    fs::create_dir(&parent).unwrap();
    let directory = parent.join("consents");
    set_mode(&parent, 0o2770);
    let _ = open_shared(&directory).unwrap();
    // Only root can change the group of a directory.
    if std::os::unix::fs::chown(&parent, None, Some(54_321)).is_ok() {
        set_mode(&parent, 0o2770);
        assert!(matches!(FileStore::open(parent.join("private")), Err(StoreError::Misconfigured(_))));
    }
    set_mode(&parent, 0o2777);
    let error = open_shared(&directory).unwrap_err();
    assert!(error.to_string().contains(parent.to_str().unwrap()), "{error}");
}

pub(crate) async fn o5_store_that_must_exist_is_not_created() {
    let (temporary, directory, _) = stored().await;
    let open = |path: &Path| FileStore::options().must_exist().open(path);
    assert!(open(&directory).unwrap().load(&id("user-7")).await.unwrap().is_some());

    // The directory is a mount point whose volume is not mounted.
    let volume = temporary.path().join("volume");
    fs::rename(&directory, &volume).unwrap();
    let error = open(&directory).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!directory.exists());
    fs::create_dir(&directory).unwrap();
    set_mode(&directory, 0o700);
    let error = open(&directory).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
    assert!(files(&directory, "").is_empty());

    // The store has no marker, for example because its records were restored from a backup.
    for marker in files(&volume, ".id") {
        fs::remove_file(marker).unwrap();
    }
    assert!(open(&volume).unwrap().load(&id("user-7")).await.unwrap().is_some());
}

const CONSENTS: u32 = 20;

/// Writes records while another member of the group writes the same records.
pub(crate) async fn write_as_a_member(directory: &Path) {
    let store = match open_shared(directory) {
        Ok(store) => store,
        Err(error) => {
            assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
            return println!("refused");
        }
    };
    let consents = Consents::builder(client(NOWHERE)).store(store).build();
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    for number in 0..CONSENTS {
        let id = id(&format!("user-{number}"));
        consents.import(&id, token(std::process::id()), SystemTime::now()).await.unwrap();
        consents.consent(&id).idle_deadline().await.unwrap();
    }
    println!("done");
}

/// Starts a process as another user, with a umask that makes new files unreadable to other users.
fn member(program: &Path, user: u32, group: u32, directory: &Path) -> Process {
    use std::os::unix::process::CommandExt as _;
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(program);
    shell.uid(user).gid(group).current_dir("/");
    Process::start(shell, "member", &[directory.to_str().unwrap()])
}

pub(crate) async fn two_users_of_a_group_share_a_store_and_a_third_is_refused() {
    const GROUP: u32 = 50_000;
    let temporary = tempfile::tempdir().unwrap();
    set_mode(temporary.path(), 0o755);
    let program = temporary.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for set_group_id in [0o2000, 0] {
        let directory = temporary.path().join(format!("volume {set_group_id:o}"));
        fs::create_dir(&directory).unwrap();
        chown(&directory, Some(0), Some(GROUP)).unwrap();
        set_mode(&directory, 0o770 | set_group_id);

        let mut members = [50_001, 50_002].map(|user| member(&program, user, GROUP, &directory));
        for member in &mut members {
            assert_eq!(member.read_line().as_deref(), Some("ready"));
        }
        for member in &mut members {
            member.send_line("go");
        }
        for mut member in members {
            assert_eq!(member.read_line().as_deref(), Some("done"));
            member.wait_for_success();
        }
        assert_eq!(files(&directory, ".json").len(), CONSENTS as usize);
        assert!(files(&directory, "").iter().all(|file| file.metadata().unwrap().gid() == GROUP));

        let mut stranger = member(&program, 50_003, 50_003, &directory);
        assert_eq!(stranger.read_line().as_deref(), Some("refused"));
        stranger.wait_for_success();

        // A user outside the group owns one of the files.
        let [path, ..] = &files(&directory, ".json")[..] else { panic!("expected a record file") };
        chown(path, Some(50_003), Some(50_003)).unwrap();
        let store = open_shared(&directory).unwrap();
        let mut refused = 0;
        for number in 0..CONSENTS {
            if let Err(error) = store.load(&id(&format!("user-{number}"))).await {
                assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
                assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
                refused += 1;
            }
        }
        assert_eq!(refused, 1);
    }
}
