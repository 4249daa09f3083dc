//! What a session of a command begins with: which command, where, by whom, on what revision.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::Environment;
use crate::event::session::SessionStarted;

/// The longest summary, in characters.
const MAX_SUMMARY: usize = 200;
/// The most bytes of the arguments that are recorded.
const MAX_ARGS: usize = 16 * 1024;

/// The data of `session_started`.
pub(super) fn of(command: &[OsString], name: Option<&str>, environment: &Environment) -> SessionStarted<'static> {
    let words: Vec<String> = command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let cwd = std::env::current_dir().ok();
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| environment.get(name).cloned());
    let user = user.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string());
    let mut bytes = 0;
    let args = words.iter().skip(1).take_while(|word| {
        bytes += word.len();
        bytes <= MAX_ARGS
    });
    SessionStarted {
        command: words.first().map(|word| cut(word).into()),
        command_summary: Some(summary(name, &words.join(" ")).into()),
        args: Some(args.map(|word| word.clone().into()).collect()),
        git_revision: cwd.as_deref().and_then(git_revision).map(Into::into),
        cwd: cwd.map(|dir| dir.to_string_lossy().into_owned().into()),
        user: Some(user.into()),
        host: Some(rustix::system::uname().nodename().to_string_lossy().into_owned().into()),
        name: name.map(|name| cut(name).into()),
        ..SessionStarted::default()
    }
}

/// What lists show of a session: its name, where it has one, and the command.
pub(in crate::cli::sessions) fn summary(name: Option<&str>, command: &str) -> String {
    let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
    format!("{name}{command}").chars().take(MAX_SUMMARY).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_ARGS / 4).collect()
}

/// The commit that is checked out around a folder, without running git.
fn git_revision(dir: &Path) -> Option<String> {
    let git = dir.ancestors().find_map(git_dir)?;
    let head = read(&git.join("HEAD"))?;
    let Some(reference) = head.strip_prefix("ref: ") else { return Some(head).filter(|text| is_commit(text)) };
    // A work tree has a HEAD of its own, and its branches elsewhere.
    let common = read(&git.join("commondir")).map_or_else(|| git.clone(), |common| git.join(common));
    let loose = [&git, &common].into_iter().find_map(|dir| read(&dir.join(reference)));
    loose.or_else(|| packed(&common, reference)).filter(|text| is_commit(text))
}

/// The folder of git's own of a folder: `.git`, or what the file `.git` names.
fn git_dir(dir: &Path) -> Option<PathBuf> {
    let git = dir.join(".git");
    match git.is_dir() {
        true => Some(git),
        false => read(&git)?.strip_prefix("gitdir: ").map(|path| dir.join(path)),
    }
}

fn packed(git: &Path, reference: &str) -> Option<String> {
    let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(_, name)| *name == reference).map(|(commit, _)| commit.to_owned())
}

fn read(path: &Path) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

fn is_commit(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn the_revision_is_found_wherever_git_keeps_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let (top, sub) = (dir.path().join("top"), dir.path().join("top/a/b"));
        fs::create_dir_all(&sub).expect("a folder");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("written");
        };
        let git = top.join(".git");
        assert_eq!(git_dir(&top), None);
        write("top/.git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(git_revision(&sub), None, "no commit yet");
        write("top/.git/packed-refs", &format!("# pack-refs\n{COMMIT} refs/heads/main\n"));
        assert_eq!(git_revision(&sub).as_deref(), Some(COMMIT));
        let newer = COMMIT.replace('0', "f");
        write("top/.git/refs/heads/main", &format!("{newer}\n"));
        assert_eq!(git_revision(&sub), Some(newer.clone()));
        write("tree/.git", &format!("gitdir: {}\n", git.join("worktrees/tree").display()));
        write("top/.git/worktrees/tree/HEAD", "ref: refs/heads/main\n");
        write("top/.git/worktrees/tree/commondir", "../..\n");
        assert_eq!(git_revision(&dir.path().join("tree")), Some(newer));
        write("top/.git/worktrees/tree/HEAD", COMMIT);
        assert_eq!(git_revision(&dir.path().join("tree")).as_deref(), Some(COMMIT));
        write("top/.git/worktrees/tree/HEAD", "nonsense");
        assert_eq!(git_revision(&dir.path().join("tree")), None);
    }
}
