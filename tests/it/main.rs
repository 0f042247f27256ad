mod sim_hosts;
