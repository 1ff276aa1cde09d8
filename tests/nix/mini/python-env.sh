# A Python that has the packages: a virtual environment's layout, with links to what each package has.
set -e
export PATH=$tools/bin
name=$(basename $tools/bin/python3.*)
site=$out/lib/$name/site-packages
mkdir -p $out/bin $site
ln -s $tools/bin/python3 $out/bin/python3
ln -s python3 $out/bin/python
echo "home = $tools/bin" >$out/pyvenv.cfg
for package in $packages; do
    for entry in $package/lib/$name/site-packages/*; do ln -s $entry $site/; done
done
exit 0
