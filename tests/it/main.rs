mod compile_fail;
