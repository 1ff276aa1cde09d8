# Builder of the bootstrap tree: Debian's tools, compiler, and the Python of the tests, made independent of /usr and /lib.
# It alone runs outside of the sandbox; after it there is nothing but the store.
set -e
export PATH=/usr/bin:/bin
mkdir -p $out/bin $out/lib $out/libexec $out/include $out/libc/include $out/libc/lib
L=/usr/lib/$(gcc -print-multiarch)
version=$(gcc -dumpversion)
compiler=$(dirname "$(gcc -print-libgcc-file-name)") # /usr/lib/gcc/x86_64-linux-gnu/12
inner=$out/lib/gcc/${compiler#/usr/lib/gcc/}

tools="bash sh cat cp mv rm ln ls mkdir rmdir chmod chown touch head tail sort uniq wc tr cut tee echo printf true false test [
 expr date sleep env id uname basename dirname readlink realpath mktemp install cmp diff stat seq od md5sum sha256sum pwd nproc
 tac paste join comm split fold nl dd sync mkfifo timeout sed grep egrep fgrep awk mawk find xargs tar gzip gunzip xz bzip2 bunzip2
 make patch patchelf file strace nm ar as ld ld.bfd ranlib strip objdump objcopy readelf size strings ps hostname perl dash
 cmake pkg-config"
for t in $tools; do
    p=$(type -P -- "$t") || continue
    cp -L "$p" "$out/bin/$t"
done
mkdir -p $out/share
cp -a /usr/share/cmake-* $out/share/

# The compiler, in the layout that GCC looks for from its own place.
for t in gcc g++ cpp; do cp -L "$(readlink -f "$(type -P $t)")" $out/bin/$t; done
mkdir -p "$(dirname "$inner")"
cp -aL "$compiler" "$inner"
rm -f "$inner"/{gnat1,f951,go1,gm2l,cc1obj,cc1objplus,d21,*.a.old}
mkdir -p $out/include/c++
cp -aL /usr/include/c++/$version $out/include/c++/
cp -aL /usr/include/. $out/libc/include/ 2>/dev/null || true
cp -aL $out/libc/include/$(gcc -print-multiarch)/c++/$version $out/include/c++/$version/x86_64-linux-gnu
rm -rf $out/libc/include/c++ $out/libc/include/$(gcc -print-multiarch)/c++
for f in crt1.o Scrt1.o rcrt1.o crti.o crtn.o gcrt1.o libc.so.6 libm.so.6 libmvec.so.1 libpthread.so.0 libdl.so.2 librt.so.1 libutil.so.1 \
    libresolv.so.2 libnss_files.so.2 libc_nonshared.a libc.a libm-*.a libmvec.a libpthread.a libdl.a librt.a libutil.a \
    ld-linux-x86-64.so.2; do
    cp -aL $L/$f $out/libc/lib/ 2>/dev/null || true
done
cd $out/libc/lib
echo "GROUP ( $PWD/libc.so.6 $PWD/libc_nonshared.a AS_NEEDED ( $PWD/ld-linux-x86-64.so.2 ) )" >libc.so
echo "GROUP ( $PWD/libm.so.6 AS_NEEDED ( $PWD/libmvec.so.1 ) )" >libm.so
echo "GROUP ( $(echo $PWD/libm-*.a) $PWD/libmvec.a )" >libm.a
for l in pthread.so.0 dl.so.2 rt.so.1 util.so.1 resolv.so.2; do ln -sf lib$l lib${l%.*}; done
cd /

# The Python of the tests, for gg and what it needs are compiled for that one.
mini_stdlib=$($python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
name=$(basename "$mini_stdlib")
cp -L "$python" $out/bin/$name
ln -s $name $out/bin/python3
mkdir -p $out/lib/$name/lib-dynload
tar -C "$mini_stdlib" -c --exclude=test --exclude=tests --exclude=__pycache__ --exclude=dist-packages --exclude=site-packages \
    --exclude='config-3*' --exclude=idlelib --exclude=ensurepip --exclude=turtledemo --exclude='*.so' . | tar -C $out/lib/$name -x
cp -L "$mini_stdlib"/lib-dynload/*.so $out/lib/$name/lib-dynload/
$python -m compileall -q --invalidation-mode unchecked-hash -s $out $out/lib/$name || true

# What all of these load, and whom they ask for it.
programs() { find $out/bin "$inner" -type f -perm -100 ! -name '*.so*'; }
libraries() { find $out/lib -name '*.so*' -type f; }
for l in $( (programs; libraries) | xargs -n1 ldd 2>/dev/null | awk '$3 ~ /^\// {print $3}' | sort -u); do
    b=$(basename $l)
    [ -e $out/libc/lib/$b ] || cp -L $l $out/lib/$b
done
cp -L $L/libstdc++.so.6 $out/lib/
cp -L "$(gcc -print-file-name=libgcc_s.so.1)" $out/lib/libgcc_s.so.1
rm -f "$inner"/libgcc_s.so "$inner"/libstdc++.so
echo "GROUP ( $out/lib/libgcc_s.so.1 -lgcc )" >"$inner"/libgcc_s.so
cp -L $L/libstdc++.so.6 "$inner"/libstdc++.so
chmod -R u+w $out
for f in $(programs); do
    patchelf --print-interpreter $f >/dev/null 2>&1 || continue
    patchelf --set-interpreter $out/libc/lib/ld-linux-x86-64.so.2 --set-rpath $out/libc/lib:$out/lib $f
done
for f in $(libraries); do patchelf --set-rpath $out/libc/lib:$out/lib $f 2>/dev/null || true; done
for f in $(grep -lI '^#!' $out/bin/*); do
    sed -i "1s|^#! */bin/\(ba\)\?sh|#!$out/bin/bash|;1s|^#! */usr/bin/perl|#!$out/bin/perl|" $f
done
exit 0
