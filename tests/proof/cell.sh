# Makes the throw-away root below $1: the machine's own files, which cannot be changed
# through it, files of every sort in /probe, and nothing of /run, /home and /root.
set -eu
cell=$1
mount --make-rprivate /
mount -t tmpfs -o size=2g cell "$cell"
cd "$cell"
mkdir -p fixtures/probe/dir/below fixtures/trace fixtures/changed upper work merged trace
cd fixtures/probe
printf 'root:x:0:0:root:/root:/bin/sh\nb 2 two\na 1 one\nerror: c\n' >text
: >empty
head -c 4096 /dev/urandom >binary
truncate -s 64M huge
truncate -s 4M fs.img
ln -s text link
ln -s missing dangling
ln -s dir dirlink
cp text dir/nested
cp text 'two words'
seq 1 60000 >lines
echo x >dir/below/x
printf '/probe/text\n/probe/secret-name\n-o\n/probe/out\n' >list
printf '#!/bin/sh\ntouch /probe/hit\n' >script
chmod 755 script
printf 'd41d8cd98f00b204e9800998ecf8427e  /probe/secret-name\n' >sums
printf '0\tstring\tabc\tletters\n' >magic
printf '{"a":[1,2],"b":{"c":"x"}}\n' >data.json
printf 'a:\n  - 1\n' >data.yaml
printf 'void hit(void) __attribute__((constructor));\n#include <fcntl.h>\nvoid hit(void) { open("/probe/hit", O_CREAT | O_WRONLY, 0600); }\n' >evil.c
cc -shared -fPIC -o evil.so evil.c 2>/dev/null || cp /usr/lib/*/libm.so.6 evil.so
tar cf x.tar text dir
tar czf x.tgz text dir
tar cJf x.tar.xz text || :
gzip -k text
bzip2 -k text || :
xz -k text || :
zstd -q -k text || :
zip -q x.zip text dir/nested || :
ar rc x.a text || :
ls text list | cpio -o 2>/dev/null >x.cpio || :
mkfs.ext4 -q fs.img 2>/dev/null || mke2fs -q fs.img 2>/dev/null || :
cd "$cell"
mount -t overlay cell -o "lowerdir=$cell/fixtures:/,upperdir=$cell/upper,workdir=$cell/work" merged
mount --bind trace merged/trace
mount --bind upper merged/changed
mount -t proc -o ro proc merged/proc
mount -t sysfs -o ro sysfs merged/sys
mount -t tmpfs dev merged/dev
mknod -m 666 merged/dev/null c 1 3
mknod -m 666 merged/dev/zero c 1 5
mknod -m 666 merged/dev/full c 1 7
mknod -m 666 merged/dev/random c 1 8
mknod -m 666 merged/dev/urandom c 1 9
mknod -m 666 merged/dev/tty c 5 0
ln -s /proc/self/fd merged/dev/fd
ln -s fd/0 merged/dev/stdin
ln -s fd/1 merged/dev/stdout
ln -s fd/2 merged/dev/stderr
mkdir merged/dev/pts merged/dev/shm
for empty in run home root srv; do
    if [ -d "merged/$empty" ]; then mount -t tmpfs empty "merged/$empty"; fi
done
ip link set lo up 2>/dev/null || :
