"""The tables of :mod:`policy.rules.protected`: which places on a host no container gets, as plain words.

Sources: the file system hierarchies of Linux, macOS, WSL and Docker Desktop's virtual machine; the
documented places of the tools named. Letters' case does not matter (see ``protected.fold``).
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    """The words of a table; lines that start with ``#`` are remarks."""
    return tuple(
        word for line in text.splitlines() if not line.strip().startswith("#") for word in line.split()
    )


SYSTEM_TREES = _words(
    """
    /etc /boot /proc /sys /dev /run /bin /sbin /lib /lib32 /lib64 /libx32 /usr /root /var/run /var/lib
    /var/log /var/spool /var/cache /var/mail /var/backups /snap /nix /gnu /initrd
    # macOS, the Docker Desktop virtual machine and WSL
    /private/etc /private/var/run /private/var/db /private/var/root /private/var/log /System /Library
    /Applications /cores /host_mnt /run/desktop /run/host-services /mnt/host /mnt/wsl /mnt/wslg
    /mnt/c/windows /mnt/c/programdata /c/windows /c/programdata
    """
)
"""Refused with everything below and everything above."""

EXACT = _words(
    """
    / /home /Users /var /tmp /var/tmp /private /private/var /private/tmp /private/var/tmp /opt /srv /mnt
    /media /Volumes /run/media /mnt/c /mnt/c/Users /c/Users /export /export/home /var/home
    """
)
"""Refused by themselves; what lies below is judged for itself."""

SOCKETS = _words(
    """
    /var/run/docker.sock /run/docker.sock /run/docker /run/podman /run/containerd /run/crio
    /run/buildkit /run/k3s /var/run/cri-dockerd.sock /run/dbus /run/systemd /run/snapd.socket
    /run/libvirt /run/user /var/lib/lxd /var/lib/incus /var/snap/lxd /var/snap/docker /tmp/.X11-unix
    /tmp/.ICE-unix /tmp/.XIM-unix /tmp/.font-unix /tmp/podman.sock /tmp/docker.sock
    """
)
"""Control sockets outside the home directory; a read-only mount does not stop a connect()."""

HOME_SOCKETS = _words(".docker/run .docker/desktop .colima .lima .rd .orbstack .finch .podman")
"""Below a home directory: where engines for one person keep their sockets and machines."""

HOME_CREDENTIALS = _words(
    """
    # tools and services
    .ssh .aws .azure .kube .docker .gnupg .netrc _netrc .git-credentials .pypirc .npmrc .yarnrc.yml
    .pgpass .my.cnf .mylogin.cnf .cargo/credentials .cargo/credentials.toml .gem .m2/settings.xml
    .m2/settings-security.xml .gradle/gradle.properties .terraform.d .terraformrc .vault-token
    .password-store .boto .s3cfg .rclone.conf .databrickscfg .snowflake .snowsql .oci .bluemix .fly
    .heroku .circleci .minikube .helm .kaggle .wandb .huggingface .cache/huggingface/token
    .cache/huggingface/stored_tokens .subversion/auth .smbcredentials .authinfo .authinfo.gpg .netrc.gpg
    .msmtprc .fetchmailrc .mutt .claude .codex .gemini .electrum .bitcoin .ethereum .config/gcloud
    .config/gh .config/glab-cli .config/hub .config/op .config/rclone .config/sops .config/containers
    .config/skill_magic .config/git/credentials .config/doctl .config/heroku .config/pip
    .config/pypoetry .config/kaggle .config/helm .config/age .config/fly .config/netlify .config/stripe
    .config/wireguard .config/github-copilot .config/anthropic .config/openai .local/share/containers
    .local/share/docker .local/share/skill_magic
    .curlrc .wgetrc .hgrc .condarc .cdsapirc .config/jupyter .config/composer .composer .nuget .globus
    .config/earthengine .config/hcloud .gsutil .modal.toml .openai .dbt .streamlit .ngc .ansible .bundle
    .sbt .ivy2 .nextflow .android
    # browsers, mail, chat, keyrings, desktop sessions
    .mozilla .thunderbird .pki .purple .config/google-chrome .config/chromium .config/BraveSoftware
    .config/microsoft-edge .config/vivaldi .config/opera .config/Signal .config/Slack .config/discord
    .config/google-chrome-beta .config/VSCodium .config/Cursor .var .irssi .weechat
    .config/Code .config/1Password .config/Bitwarden .config/keepassxc .config/filezilla
    .config/evolution .local/share/keyrings .local/share/kwalletd .local/share/gnupg
    .local/share/evolution .gnome2/keyrings .putty .filezilla .vnc .remmina .Xauthority .ICEauthority
    Library AppData
    # histories
    .bash_history .zsh_history .python_history .psql_history .mysql_history .sqlite_history
    .node_repl_history .lesshst .viminfo .local/share/fish .local/share/atuin
    # start-up files: run by the host, and where people export their keys
    .bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile
    .zlogin .zlogout .cshrc .tcshrc .kshrc .login .xinitrc .xsession .xprofile .pam_environment
    .Rprofile .Renviron .jupyter .ipython .local/share/jupyter .config/fish .config/systemd
    .config/autostart .config/environment.d .config/direnv
    """
)
"""Below a home directory; never mounted, hidden where an allowed mount would show them."""

HOME_CODE = _words(
    """
    .gitconfig .config/git .inputrc .vimrc .vim .config/nvim .local/share/nvim .emacs .emacs.d
    .tmux.conf .screenrc .pdbrc .pythonrc .pythonrc.py .julia/config .config/matplotlib
    .config/autostart-scripts .config/plasma-workspace .config/user-tmpfiles.d .config/pulse .config/i3
    .config/sway .config/hypr .local/bin .local/lib .local/share/systemd .local/share/applications
    .local/share/dbus-1 bin .pyenv .nvm .rbenv .asdf .sdkman .rustup .cargo/bin .cargo/config
    .cargo/config.toml .oh-my-zsh .vscode .vscode-server .cursor-server .conda .mambarc .gdbinit .lldbinit
    .forward .procmailrc .deno/bin .npm-global
    """
)
"""Below a home directory; what the host runs later. They may be seen, never written."""

# Variables that name a socket or a file of credentials; the path they hold is protected wherever it is.
ENV_SOCKETS = _words("SSH_AUTH_SOCK XDG_RUNTIME_DIR WAYLAND_DISPLAY PULSE_SERVER TMUX CONTAINER_HOST")
ENV_CREDENTIALS = _words(
    """
    XAUTHORITY ICEAUTHORITY KUBECONFIG GOOGLE_APPLICATION_CREDENTIALS AWS_SHARED_CREDENTIALS_FILE
    AWS_CONFIG_FILE AWS_WEB_IDENTITY_TOKEN_FILE DOCKER_CONFIG DOCKER_CERT_PATH GNUPGHOME NETRC
    PGPASSFILE AZURE_CONFIG_DIR CLOUDSDK_CONFIG VAULT_TOKEN_FILE HF_TOKEN_PATH NPM_CONFIG_USERCONFIG
    PIP_CONFIG_FILE JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR IPYTHONDIR KRB5CCNAME
    REGISTRY_AUTH_FILE PASSWORD_STORE_DIR
    """
)

# Variables that name what programs run, or where they load code from. PYTHONPATH is not one: it names a person's own
# modules, which tools are asked to write, and whose changes are listed.
ENV_CODE = _words(
    """
    PATH BASH_ENV ENV ZDOTDIR INPUTRC PYTHONSTARTUP PYTHONHOME PYTHONUSERBASE PYTHONPYCACHEPREFIX VIRTUAL_ENV
    CONDA_PREFIX IPYTHONDIR JUPYTER_PATH JUPYTER_CONFIG_PATH JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR MPLCONFIGDIR
    MATPLOTLIBRC GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_TEMPLATE_DIR GIT_EXEC_PATH GIT_SSH GIT_ASKPASS SSH_ASKPASS
    GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER GIT_EXTERNAL_DIFF GIT_SSH_COMMAND GIT_PROXY_COMMAND
    SUDO_ASKPASS R_PROFILE R_PROFILE_USER R_ENVIRON R_ENVIRON_USER R_LIBS R_LIBS_USER R_LIBS_SITE JULIA_DEPOT_PATH
    JULIA_LOAD_PATH NODE_PATH PERL5LIB RUBYLIB GEM_PATH GEM_HOME LUA_PATH LD_LIBRARY_PATH LD_PRELOAD DYLD_LIBRARY_PATH
    DYLD_INSERT_LIBRARIES PSQLRC GDBINIT VIMRUNTIME EDITOR VISUAL PAGER LESSOPEN SHELL
    BROWSER NPM_CONFIG_USERCONFIG NPM_CONFIG_PREFIX CARGO_HOME RUSTUP_HOME GOBIN GOPATH DENO_INSTALL BUN_INSTALL
    PIP_CONFIG_FILE CONDARC MAMBARC DIRENV_CONFIG ANSIBLE_CONFIG LD_AUDIT GCONV_PATH
    """
)
